// The valid bit of a pipeline that takes an event every clock.
module valid_chain #(
    parameter int DEPTH = 1  // registers on the way
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    output logic out_valid
);
  logic [DEPTH-1:0] chain;
  assign out_valid = chain[DEPTH-1];
  always_ff @(posedge clk)
    if (!rst_n) chain <= '0;
    else chain <= DEPTH'({chain, in_valid});
endmodule
