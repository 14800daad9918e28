// reduce_largest: a list so many clocks after the last beat of each image; and it is the list of its largest pixels.
module reduce_largest_properties #(
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
    parameter int LEVELS = 0,
    parameter int BEAT_BITS = 1,
    parameter int SLOT_BITS = 1
) (
    input logic clk,
    input logic rst_n,
    input logic in_valid,
    input logic [BEAT_PIXELS*CHANNELS*BITS-1:0] in_pixels,
    input logic out_valid,
    input logic [MAX_PIXELS*CHANNELS*BITS-1:0] features,
    input logic [MAX_PIXELS*2*COORD_BITS-1:0] coords,
    input logic [BEAT_BITS-1:0] beat,
    input logic [LEVELS:0] starts,
    input logic busy,
    input logic [SLOT_BITS-1:0] slot
);
  localparam int LATE = LEVELS + MAX_PIXELS + 5;  // clocks from the last beat to the list
  int beats;
  logic known = 0;
  logic [LATE-1:0] ended;  // bit k: a last beat came k + 1 clocks ago
  wire ends = in_valid && beats == BEATS - 1;
  logic under_way, too_soon;
  always_comb begin
    under_way = 1'b0;
    too_soon = 1'b0;
    for (int k = 0; k < MAX_PIXELS; k++) if (ended[LEVELS+2+k]) under_way = 1'b1;
    for (int k = 0; k < MAX_PIXELS - 1; k++) if (ended[k]) too_soon = 1'b1;
  end
  always_ff @(posedge clk) begin
    known <= known || !rst_n;
    if (!rst_n) beats <= 0;
    else if (in_valid) beats <= ends ? 0 : beats + 1;
    ended <= rst_n ? LATE'({ended, ends}) : '0;
`ifdef FORMAL
    if (!known) assume (!rst_n);
`endif
    if (known && rst_n) begin
      counts: assert (int'(beat) == beats && beats >= 0 && beats < BEATS);
      apart: assume (!ends || !too_soon);
      begins: assert (starts == ended[LEVELS+1:1]);
      leaving: assert (busy == under_way);
      in_turn: assert (!busy || ended[LEVELS+2+int'(slot)]);
      at_rest: assert (busy || slot == '0);
      in_time: assert (out_valid == ended[LATE-1]);
    end
  end

`ifdef FORMAL
  // The list as one would write it down: of the active pixels those that fewer than MAX_PIXELS are before, in order.
  localparam int PIXEL_BITS = CHANNELS * BITS;
  localparam int PIXELS = HEIGHT * WIDTH;
  localparam int ALL = MAX_PIXELS * (PIXEL_BITS + 2 * COORD_BITS);
  generate
    if (RULE == 0 && !IS_SIGNED && THRESHOLD == 0) begin : gen_list
      logic [BEATS*BEAT_PIXELS*PIXEL_BITS-1:0] held, image;
      logic [MAX_PIXELS*PIXEL_BITS-1:0] list;
      logic [MAX_PIXELS*2*COORD_BITS-1:0] places;
      logic [LATE*ALL-1:0] late;
      int before, n;
      logic [BITS-1:0] one, other;
      always_comb begin
        image = held;
        for (int b = 0; b < BEATS; b++)
          if (b == beats) image[b*BEAT_PIXELS*PIXEL_BITS+:BEAT_PIXELS*PIXEL_BITS] = in_pixels;
        list = '0;
        places = '1;
        n = 0;
        for (int p = 0; p < PIXELS; p++) begin
          one = image[p*PIXEL_BITS+:BITS];
          before = 0;
          for (int q = 0; q < PIXELS; q++) begin
            other = image[q*PIXEL_BITS+:BITS];
            if (other > one || (other == one && q < p)) before = before + 1;
          end
          if (one != '0 && before < MAX_PIXELS) begin
            for (int m = 0; m < MAX_PIXELS; m++)
              if (m == n) begin
                list[m*PIXEL_BITS+:PIXEL_BITS] = image[p*PIXEL_BITS+:PIXEL_BITS];
                places[m*2*COORD_BITS+:2*COORD_BITS] = {COORD_BITS'(p % WIDTH), COORD_BITS'(p / WIDTH)};
              end
            n = n + 1;
          end
        end
      end
      always_ff @(posedge clk) begin
        if (in_valid) held <= image;
        late <= (LATE * ALL)'({late, list, places});
        if (known && rst_n) listed: assert (!out_valid || {features, coords} == late[LATE*ALL-1-:ALL]);
      end
    end
  endgenerate
`endif
endmodule
