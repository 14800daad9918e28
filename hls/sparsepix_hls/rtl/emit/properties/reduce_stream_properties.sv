// reduce_stream: a list 3 + CUTS clocks after the last beat of each image; and it is the list of the active pixels.
module reduce_stream_properties #(
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
    parameter int COORD_BITS = 8,
    parameter int COUNT_BITS = 1,
    parameter int CUTS = 0,
    parameter int BEAT_BITS = 1,
    parameter int PLACE_BITS = 1
) (
    input logic clk,
    input logic rst_n,
    input logic in_valid,
    input logic [BEAT_PIXELS*CHANNELS*BITS-1:0] in_pixels,
    input logic out_valid,
    input logic [MAX_PIXELS*CHANNELS*BITS-1:0] features,
    input logic [MAX_PIXELS*2*COORD_BITS-1:0] coords,
    input logic [BEAT_BITS-1:0] beat,
    input logic [COUNT_BITS-1:0] count,
    input logic [COORD_BITS-1:0] row_0,
    input logic [PLACE_BITS-1:0] column_0
);
  int beats;
  logic known = 0;
  logic [CUTS+2:0] ended;  // bit k: a last beat came k + 1 clocks ago
  wire ends = in_valid && beats == BEATS - 1;
  always_ff @(posedge clk) begin
    known <= known || !rst_n;
    if (!rst_n) beats <= 0;
    else if (in_valid) beats <= ends ? 0 : beats + 1;
    ended <= rst_n ? (CUTS + 3)'({ended, ends}) : '0;
`ifdef FORMAL
    if (!known) assume (!rst_n);
`endif
    if (known && rst_n) begin
      place: assert (row_0 == COORD_BITS'(beats * BEAT_PIXELS / WIDTH)
                     && column_0 == PLACE_BITS'(beats * BEAT_PIXELS % WIDTH));
      counts: assert (int'(beat) == beats && beats >= 0 && beats < BEATS);
      in_time: assert (out_valid == ended[CUTS+2]);
    end
  end

`ifdef FORMAL
  // The list as one would write it down, beat by beat; it is looked at three clocks later.
  localparam int PIXEL_BITS = CHANNELS * BITS;
  generate
    if (RULE == 0 && !IS_SIGNED && THRESHOLD == 0) begin : gen_list
      localparam int LATE = CUTS + 2;  // clocks that the list is behind this one
      localparam int ALL = MAX_PIXELS * (PIXEL_BITS + 2 * COORD_BITS);
      logic [MAX_PIXELS*PIXEL_BITS-1:0] list, next_list;
      logic [MAX_PIXELS*2*COORD_BITS-1:0] places, next_places;
      logic [LATE*ALL-1:0] late;
      logic [LATE-1:0] begun_late;
      int n, next_n, n_1, n_2;
      logic begun, empty;  // empty: the slots after the last pixel
      always_comb begin
        empty = 1'b1;
        for (int m = 0; m < MAX_PIXELS; m++)
          if (m >= n && (list[m*PIXEL_BITS+:PIXEL_BITS] != '0 || places[m*2*COORD_BITS+:2*COORD_BITS] != '1)) empty = 1'b0;
        next_list = beats == 0 ? '0 : list;
        next_places = beats == 0 ? '1 : places;
        next_n = beats == 0 ? 0 : n;
        for (int p = 0; p < BEAT_PIXELS; p++)
          if (beats * BEAT_PIXELS + p < HEIGHT * WIDTH && in_pixels[p*PIXEL_BITS+:BITS] != '0 && next_n < MAX_PIXELS)
          begin
            for (int m = 0; m < MAX_PIXELS; m++)
              if (m == next_n) begin
                next_list[m*PIXEL_BITS+:PIXEL_BITS] = in_pixels[p*PIXEL_BITS+:PIXEL_BITS];
                next_places[m*2*COORD_BITS+:2*COORD_BITS] = {
                  COORD_BITS'((beats * BEAT_PIXELS + p) % WIDTH), COORD_BITS'((beats * BEAT_PIXELS + p) / WIDTH)
                };
              end
            next_n = next_n + 1;
          end
      end
      always_ff @(posedge clk) begin
        if (in_valid) begin
          list <= next_list;
          places <= next_places;
          n <= next_n;
        end
        n_1 <= n;
        n_2 <= n_1;
        begun <= rst_n && (begun || in_valid);
        begun_late <= rst_n ? LATE'({begun_late, begun}) : '0;
        late <= (LATE * ALL)'({late, list, places});
        if (known && rst_n) begin
          one: assert (!out_valid || begun_late[LATE-1]);
          listed: assert (!begun_late[LATE-1] || {features, coords} == late[LATE*ALL-1-:ALL]);
          counted: assert (!begun_late[1] || int'(count) == n_2);
          begins: assert (begun || beats == 0);
          rest: assert (!begun || (n >= 0 && n <= MAX_PIXELS && empty));
        end
      end
    end
  endgenerate
`endif
endmodule
