// Lets events in. No stage behind it ever waits: each takes a fixed number of clocks, so that the result of an event
// comes a fixed number of clocks after its last beat. What an event needs is made sure of here, before that beat: enough
// clocks since the event before, and a free place for its result in the queue at the other end.
//
// in_ready is a register: nothing leads from the output port to it within a clock.
module event_gate #(
    parameter int BEATS = 1,  // of an event
    parameter int HOLD = 0,  // clocks after a last beat in which no beat is taken, below INTERVAL
    parameter int INTERVAL = 1,  // clocks between two last beats, at least
    parameter int PLACES = 2  // of the queue
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    output logic in_ready,
    output logic beat_valid,  // a beat is let in
    input  logic returned  // a place of the queue is free again
);
  localparam int BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int WAIT_BITS = INTERVAL > 1 ? $clog2(INTERVAL) : 1;
  localparam int FREE_BITS = $clog2(PLACES + 1);
  localparam logic [BEAT_BITS-1:0] LAST = BEAT_BITS'(BEATS - 1);

  logic [BEAT_BITS-1:0] beat, next_beat;
  logic [WAIT_BITS-1:0] waits, next_waits;  // clocks until a last beat may come
  logic [FREE_BITS-1:0] free, next_free;
  wire soon;  // a beat that is not the last may come
  wire ends = beat_valid && beat == LAST;
  assign beat_valid = in_valid && in_ready;

  generate
    if (HOLD == 0) assign soon = 1'b1;
    else assign soon = next_waits <= WAIT_BITS'(INTERVAL - 1 - HOLD);
  endgenerate

  always_comb begin
    next_beat = beat;
    if (beat_valid) next_beat = beat == LAST ? '0 : beat + 1'b1;
    next_waits = waits == '0 ? '0 : waits - 1'b1;
    if (ends) next_waits = WAIT_BITS'(INTERVAL - 1);
    next_free = free;
    if (returned && !ends) next_free = free + 1'b1;
    if (ends && !returned) next_free = free - 1'b1;
  end

  always_ff @(posedge clk)
    if (!rst_n) begin
      beat <= '0;
      waits <= '0;
      free <= FREE_BITS'(PLACES);
      in_ready <= 1'b0;
    end else begin
      beat <= next_beat;
      waits <= next_waits;
      free <= next_free;
      in_ready <= soon && (next_beat != LAST || (next_waits == '0 && next_free != '0));
    end
endmodule
