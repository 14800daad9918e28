// valid_chain: a result DEPTH clocks after each event, and no other.
module valid_chain_properties #(
    parameter int DEPTH = 1
) (
    input logic clk,
    input logic rst_n,
    input logic in_valid,
    input logic out_valid,
    input logic [DEPTH-1:0] chain
);
  logic known = 0;
  logic [DEPTH-1:0] came;  // bit k: an event came k + 1 clocks ago
  always_ff @(posedge clk) begin
    known <= known || !rst_n;
    came <= rst_n ? DEPTH'({came, in_valid}) : '0;
`ifdef FORMAL
    if (!known) assume (!rst_n);
`endif
    if (known && rst_n) begin
      in_time: assert (out_valid == came[DEPTH-1]);
      all: assert (chain == came);
    end
  end
endmodule
