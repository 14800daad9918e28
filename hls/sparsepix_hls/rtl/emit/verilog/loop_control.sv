// Control of a layer that is computed in rounds, one a clock, through a pipelined function.
// An event comes while the last round of the one before is read, or later, so rounds follow each other without a gap.
module loop_control #(
    parameter int ROUNDS = 2,  // rounds of an event
    parameter int DEPTH = 1,  // stages of the function, with registers between them
    parameter int ROUND_BITS = 1  // bits of the round's number
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    output logic [ROUND_BITS-1:0] round,  // that the function reads now
    output logic issued,  // the last round of an event is read now
    output logic store,  // a result of the function is ready
    output logic first,  // it is that of the first round
    output logic last,  // it is that of the last round
    output logic out_valid
);
  logic busy;
  wire at_end = round == ROUND_BITS'(ROUNDS - 1);
  wire [2:0] now = {busy && at_end, busy && round == '0, busy};
  assign issued = busy && at_end;

  always_ff @(posedge clk)
    if (!rst_n) begin
      busy <= 1'b0;
      round <= '0;
    end else begin
      if (in_valid) busy <= 1'b1;
      else if (at_end) busy <= 1'b0;
      if (busy) round <= at_end ? '0 : round + 1'b1;
    end

  generate
    if (DEPTH == 1) begin : gen_at_once
      assign {last, first, store} = now;
    end else begin : gen_chain
      logic [3*(DEPTH-1)-1:0] chain;
      assign {last, first, store} = chain[3*(DEPTH-1)-1-:3];
      always_ff @(posedge clk)
        if (!rst_n) chain <= '0;
        else chain <= (3 * (DEPTH - 1))'({chain, now});
    end
  endgenerate

  always_ff @(posedge clk)
    if (!rst_n) out_valid <= 1'b0;
    else out_valid <= store && last;
endmodule
