// Control of a layer that is computed in rounds, one a clock, through a pipelined function.
// An event comes while the last round of the one before is read, or later, so rounds follow each other without a gap.
module loop_control #(
    parameter int ROUNDS = 2,  // rounds of an event
    parameter int FOLDS = 1,  // of them each item takes, one after the other
    parameter int DEPTH = 1,  // stages of the function, with registers between them
    parameter int ROUND_BITS = 1,  // bits of the number of an item, or of the items of a round
    parameter int FOLD_BITS = 1  // bits of the fold's number
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    output logic [ROUND_BITS-1:0] round,  // that the function reads now: which items
    output logic [FOLD_BITS-1:0] fold,  // and which part of their outputs
    output logic issued,  // the last round of an event is read now
    output logic store,  // a result of the function is ready
    output logic first,  // it is that of the first round
    output logic last,  // it is that of the last round
    output logic whole,  // it is that of the last fold of an item
    output logic out_valid
);
  logic busy;
  wire fold_end = fold == FOLD_BITS'(FOLDS - 1);
  wire at_end = round == ROUND_BITS'(ROUNDS / FOLDS - 1) && fold_end;
  wire [3:0] now = {busy && fold_end, busy && at_end, busy && round == '0 && fold == '0, busy};
  assign issued = busy && at_end;

  always_ff @(posedge clk)
    if (!rst_n) begin
      busy <= 1'b0;
      round <= '0;
      fold  <= '0;
    end else begin
      if (in_valid) busy <= 1'b1;
      else if (at_end) busy <= 1'b0;
      if (busy) fold <= fold_end ? '0 : fold + 1'b1;
      if (busy && fold_end) round <= at_end ? '0 : round + 1'b1;
    end

  generate
    if (DEPTH == 1) begin : gen_at_once
      assign {whole, last, first, store} = now;
    end else begin : gen_chain
      logic [4*(DEPTH-1)-1:0] chain;
      assign {whole, last, first, store} = chain[4*(DEPTH-1)-1-:4];
      always_ff @(posedge clk)
        if (!rst_n) chain <= '0;
        else chain <= (4 * (DEPTH - 1))'({chain, now});
    end
  endgenerate

  always_ff @(posedge clk)
    if (!rst_n) out_valid <= 1'b0;
    else out_valid <= store && last;
endmodule
