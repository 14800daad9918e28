// Keeps one result of an event until the others of that event are there too.
module stream_result #(
    parameter int BITS = 1
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    input  logic [BITS-1:0] in_word,
    input  logic taken,  // all are there
    output logic there,
    output logic [BITS-1:0] word
);
  always_ff @(posedge clk) begin
    if (!rst_n) there <= 1'b0;
    else there <= in_valid || (there && !taken);
    if (in_valid) word <= in_word;
  end
endmodule
