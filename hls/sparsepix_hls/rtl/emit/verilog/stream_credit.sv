// Counts the places of a queue that are promised: whoever fills the queue sends a word only while there is a free one, so
// that what is between the two never has to wait.
module stream_credit #(
    parameter int PLACES = 2
) (
    input  logic clk,
    input  logic rst_n,
    input  logic sent,
    input  logic taken,  // a word has left the queue
    output logic free  // one more may be sent
);
  localparam int COUNT_BITS = $clog2(PLACES + 1);
  logic [COUNT_BITS-1:0] count, next;
  always_comb begin
    next = count;
    if (sent && !taken) next = count + 1'b1;
    if (taken && !sent) next = count - 1'b1;
  end
  always_ff @(posedge clk)
    if (!rst_n) begin
      count <= '0;
      free <= 1'b0;
    end else begin
      count <= next;
      free <= next != COUNT_BITS'(PLACES);
    end
endmodule
