// stream_credit: never more words between a step and the end of its queue than the queue has places.
module stream_credit_properties #(
    parameter int PLACES = 2,
    parameter int COUNT_BITS = 1
) (
    input logic clk,
    input logic rst_n,
    input logic sent,
    input logic taken,
    input logic free,
    input logic [COUNT_BITS-1:0] count
);
  int promised;  // words that were sent and not taken
  logic known = 0, counted = 0;
  always_ff @(posedge clk) begin
    known <= known || !rst_n;
    counted <= rst_n && known;
    if (!rst_n) promised <= 0;
    else promised <= promised + (sent ? 1 : 0) - (taken ? 1 : 0);
`ifdef FORMAL
    if (!known) assume (!rst_n);
`endif
    if (known && rst_n) begin
      allowed: assume (!sent || free);
      there: assume (!taken || promised > 0);
      room: assert (promised >= 0 && promised <= PLACES && int'(count) == promised);
      opens: assert (!counted || free == (promised != PLACES));
      closed: assert (!free || promised != PLACES);
    end
  end
endmodule
