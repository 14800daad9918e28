// stream_pixels: the active pixels of each image in row-major order, the first MAX_PIXELS of them, each once; then a word
// that ends the event. What is offered stays until it is taken.
module stream_pixels_properties #(
    parameter int HEIGHT = 1,
    parameter int WIDTH = 1,
    parameter int CHANNELS = 1,
    parameter int BITS = 8,
    parameter bit IS_SIGNED = 0,
    parameter int THRESHOLD = 0,
    parameter int RULE = 0,
    parameter int MAX_PIXELS = 1,
    parameter int BEAT_PIXELS = 1,
    parameter int BEATS = 1,
    parameter int ROW_BITS = 1,
    parameter int COLUMN_BITS = 1
) (
    input logic clk,
    input logic rst_n,
    input logic in_valid,
    input logic in_ready,
    input logic [BEAT_PIXELS*CHANNELS*BITS-1:0] in_pixels,
    input logic out_valid,
    input logic out_ready,
    input logic out_ends,
    input logic [ROW_BITS-1:0] out_row,
    input logic [COLUMN_BITS-1:0] out_column,
    input logic [CHANNELS*BITS-1:0] out_features
);
  int given, behind;  // pixels of this event that were taken, and the place of the last one
  logic known = 0, offered, was_ready, ready_before;
  logic ended;
  logic [ROW_BITS-1:0] row;
  logic [COLUMN_BITS-1:0] column;
  logic [CHANNELS*BITS-1:0] features;
  wire moves = out_valid && out_ready;
  wire int place = int'(out_row) * WIDTH + int'(out_column);
  always_ff @(posedge clk) begin
    known <= known || !rst_n;
    offered <= rst_n && out_valid && !out_ready;
    {ended, row, column, features} <= {out_ends, out_row, out_column, out_features};
    was_ready <= rst_n && in_ready;
    ready_before <= rst_n && was_ready;
    if (!rst_n || (moves && out_ends)) begin
      given <= 0;
      behind <= -1;
    end else if (moves) begin
      given <= given + 1;
      behind <= place;
    end
`ifdef FORMAL
    if (!known) assume (!rst_n);
`endif
    if (known && rst_n) begin
      room: assume (!in_valid || in_ready || was_ready || ready_before);
      stays: assert (!offered || (out_valid && out_ends == ended));
      same: assert (!offered || ended || {out_row, out_column, out_features} == {row, column, features});
      ordered: assert (!out_valid || out_ends || (place > behind && int'(out_column) < WIDTH && place < HEIGHT * WIDTH));
      few: assert (!out_valid || out_ends || given < MAX_PIXELS);
    end
  end

`ifdef FORMAL
  // One pixel of one event, any of them, is followed.
  (* anyconst *) logic [7:0] its_place;
  (* anyconst *) logic [1:0] its_event;
  int beats, earlier, all, event_in, event_out;
  logic is_there, seen;
  logic [CHANNELS*BITS-1:0] its;
  generate
    if (RULE == 0 && !IS_SIGNED && THRESHOLD == 0 && CHANNELS == 1) begin : gen_list
      int next_earlier, next_all;
      logic now_there;
      logic [BITS-1:0] now;
      always_comb begin
        next_earlier = earlier;
        next_all = all;
        now_there = 1'b0;
        now = '0;
        for (int p = 0; p < BEAT_PIXELS; p++)
          if (beats * BEAT_PIXELS + p < HEIGHT * WIDTH && in_pixels[p*BITS+:BITS] != '0) begin
            next_all = next_all + 1;
            if (beats * BEAT_PIXELS + p < int'(its_place)) next_earlier = next_earlier + 1;
            if (beats * BEAT_PIXELS + p == int'(its_place)) begin
              now_there = 1'b1;
              now = in_pixels[p*BITS+:BITS];
            end
          end
      end
      always_ff @(posedge clk)
        if (!rst_n) begin
          beats <= 0;
          earlier <= 0;
          all <= 0;
          event_in <= 0;
          event_out <= 0;
          is_there <= 1'b0;
          seen <= 1'b0;
        end else begin
          if (in_valid) begin
            beats <= beats == BEATS - 1 ? 0 : beats + 1;
            if (beats == BEATS - 1) event_in <= event_in + 1;
            if (event_in == int'(its_event)) begin
              earlier <= next_earlier;
              all <= next_all;
              if (now_there) begin
                is_there <= 1'b1;
                its <= now;
              end
            end
          end
          if (moves && out_ends) event_out <= event_out + 1;
          if (moves && !out_ends && event_out == int'(its_event) && place == int'(its_place)) seen <= 1'b1;
        end
      always_ff @(posedge clk)
        if (known && rst_n && out_valid) begin
          one_by_one: assert (event_out < event_in || (!out_ends && event_out == event_in));
          if (event_out == int'(its_event)) begin
            if (out_ends) begin
              complete: assert (given == (all < MAX_PIXELS ? all : MAX_PIXELS));
              not_lost: assert (seen == (is_there && earlier < MAX_PIXELS));
            end else if (place == int'(its_place)) begin
              right: assert (is_there && out_features == its && given == earlier);
            end
          end
        end
    end
  endgenerate
`endif
endmodule
