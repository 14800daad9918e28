// What goes beside a pipeline, as many clocks.
module stream_delay #(
    parameter int BITS = 1,
    parameter int DEPTH = 0
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    input  logic [BITS-1:0] in_word,
    output logic out_valid,
    output logic [BITS-1:0] out_word
);
  generate
    if (DEPTH == 0) begin : none
      wire unused = &{1'b0, clk, rst_n};
      assign out_valid = in_valid;
      assign out_word = in_word;
    end else begin : some
      logic [DEPTH-1:0] valid;
      logic [DEPTH*BITS-1:0] words;
      assign out_valid = valid[DEPTH-1];
      assign out_word = words[(DEPTH-1)*BITS+:BITS];
      always_ff @(posedge clk) begin
        if (!rst_n) valid <= '0;
        else valid <= DEPTH'({valid, in_valid});
        words <= (DEPTH * BITS)'({words, in_word});
      end
    end
  endgenerate
endmodule
