// event_gate: last beats keep their distance, no beat comes while the image is read, and never are more results on their
// way than the queue has places for; it opens as soon as all of this allows it.
module event_gate_properties #(
    parameter int BEATS = 1,
    parameter int HOLD = 0,
    parameter int INTERVAL = 1,
    parameter int PLACES = 2,
    parameter int BEAT_BITS = 1,
    parameter int WAIT_BITS = 1,
    parameter int FREE_BITS = 2
) (
    input logic clk,
    input logic rst_n,
    input logic in_valid,
    input logic in_ready,
    input logic beat_valid,
    input logic returned,
    input logic [BEAT_BITS-1:0] beat,
    input logic [WAIT_BITS-1:0] waits,
    input logic [FREE_BITS-1:0] free
);
  int beats, since, on_their_way;  // of the event, clocks since a last beat (INTERVAL at most), events without a result
  logic known = 0, reset_before;
  wire ends = in_valid && in_ready && beats == BEATS - 1;
  always_ff @(posedge clk) begin
    known <= known || !rst_n;
    reset_before <= !rst_n;
    if (!rst_n) begin
      beats <= 0;
      since <= INTERVAL;
      on_their_way <= 0;
    end else begin
      if (in_valid && in_ready) beats <= ends ? 0 : beats + 1;
      since <= ends ? 1 : since < INTERVAL ? since + 1 : since;
      on_their_way <= on_their_way + (ends ? 1 : 0) - (returned ? 1 : 0);
    end
`ifdef FORMAL
    if (!known) assume (!rst_n);
`endif
    if (known && rst_n) begin
      returned_later: assume (!returned || on_their_way > 0);
      let_in: assert (beat_valid == (in_valid && in_ready));
      distance: assert (!ends || since >= INTERVAL);
      held: assert (!beat_valid || since > HOLD || since == INTERVAL);
      places: assert (on_their_way >= 0 && on_their_way <= PLACES && (!ends || on_their_way < PLACES));
      opens: assert (in_ready == (!reset_before && (since > HOLD || since == INTERVAL)
                                  && (beats != BEATS - 1 || (since == INTERVAL && on_their_way < PLACES))));
      counts: assert (int'(beat) == beats && int'(waits) == INTERVAL - since && int'(free) == PLACES - on_their_way
                      && beats >= 0 && beats < BEATS && since >= 1 && since <= INTERVAL);
    end
  end
endmodule
