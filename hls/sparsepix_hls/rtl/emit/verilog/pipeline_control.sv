// Handshake of a pipeline that takes an event every clock: a chain of valid bits, and one enable for its registers.
// Without registers (DEPTH = 0) the handshake passes through.
module pipeline_control #(
    parameter int DEPTH = 1  // registers on the way
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    output logic in_ready,
    output logic enable,  // all registers take their next value
    output logic out_valid,
    input  logic out_ready
);
  generate
    if (DEPTH == 0) begin : gen_through
      assign out_valid = in_valid;
      assign in_ready = out_ready;
      assign enable = 1'b1;
    end else begin : gen_chain
      logic [DEPTH-1:0] valid;
      assign out_valid = valid[DEPTH-1];
      assign enable = !out_valid || out_ready;
      assign in_ready = enable;
      always_ff @(posedge clk)
        if (!rst_n) valid <= '0;
        else if (enable) valid <= DEPTH'({valid, in_valid});
    end
  endgenerate
endmodule
