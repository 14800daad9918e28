// Input reduction by 'stream': some pixels a clock, while the image arrives.
//
// A beat waits a clock for its active pixels to be numbered, a clock to be packed (slot k takes the pixel of number k),
// and is then appended to the list by a shifted read: slot m takes entry m - count of the packed beat.
// With the last beat the list is complete; it stands until it is taken.
module reduce_stream #(
    parameter int HEIGHT = 1,
    parameter int WIDTH = 1,
    parameter int CHANNELS = 1,
    parameter int BITS = 8,  // of a channel
    parameter bit IS_SIGNED = 0,
    parameter int THRESHOLD = 0,  // active means above it
    parameter int RULE = 0,  // see activity
    parameter int MAX_PIXELS = 1,
    parameter int BEAT_PIXELS = 1,
    parameter int BEATS = 1,
    parameter int COORD_BITS = 8,
    parameter int COUNT_BITS = 1,  // holds 0 ... MAX_PIXELS
    parameter int RANK_BITS = 1  // holds 0 ... BEAT_PIXELS
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    output logic in_ready,
    input  logic [BEAT_PIXELS*CHANNELS*BITS-1:0] in_pixels,
    output logic out_valid,
    input  logic out_ready,
    output logic [MAX_PIXELS*CHANNELS*BITS-1:0] features,  // 0 in an empty slot
    output logic [MAX_PIXELS*2*COORD_BITS-1:0] coords  // row in the low bits, column; -1 in an empty slot
);
  localparam int PIXEL_BITS = CHANNELS * BITS;
  localparam int PACKED = BEAT_PIXELS < MAX_PIXELS ? BEAT_PIXELS : MAX_PIXELS;
  localparam int BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int ENTRY_BITS = PIXEL_BITS + 2 * COORD_BITS;
  localparam int PLACE_BITS = $clog2(WIDTH + BEAT_PIXELS) + 1;
  localparam int LINES = (WIDTH + BEAT_PIXELS - 2) / WIDTH;  // line ends that a beat may cross

  wire enable = !out_valid || out_ready;
  assign in_ready = enable;

  // --- a beat and its active pixels
  logic [BEAT_PIXELS-1:0] beat_flags;
  activity #(
      .PIXELS(BEAT_PIXELS), .CHANNELS(CHANNELS), .BITS(BITS), .IS_SIGNED(IS_SIGNED), .THRESHOLD(THRESHOLD), .RULE(RULE)
  ) beat_activity (
      .pixels(in_pixels),
      .active(beat_flags)
  );

  logic [BEAT_BITS-1:0] beat;
  logic [BEAT_PIXELS*PIXEL_BITS-1:0] pixels_1, pixels_2;
  logic [BEAT_PIXELS-1:0] flags_1, flags_2;
  logic valid_1, valid_2, valid_3, first_1, first_2, first_3, last_1, last_2, last_3;
  wire at_end = beat == BEAT_BITS'(BEATS - 1);
  localparam int TAIL = HEIGHT * WIDTH - (BEATS - 1) * BEAT_PIXELS;  // pixels of the last beat

  // --- where a beat begins
  logic [COORD_BITS-1:0] row_0, row_1, row_2;
  logic [PLACE_BITS-1:0] column_0, column_1, column_2;
  logic [COORD_BITS-1:0] next_row;
  logic [PLACE_BITS-1:0] next_column;
  always_comb begin
    next_row = row_0 + COORD_BITS'(BEAT_PIXELS / WIDTH);
    next_column = column_0 + PLACE_BITS'(BEAT_PIXELS % WIDTH);
    if (next_column >= PLACE_BITS'(WIDTH)) begin
      next_row = next_row + 1'b1;
      next_column = next_column - PLACE_BITS'(WIDTH);
    end
  end

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      beat <= '0;
      row_0 <= '0;
      column_0 <= '0;
      valid_1 <= 1'b0;
      valid_2 <= 1'b0;
      valid_3 <= 1'b0;
    end else if (enable) begin
      valid_1 <= in_valid;
      valid_2 <= valid_1;
      valid_3 <= valid_2;
      if (in_valid) begin
        beat <= at_end ? '0 : beat + 1'b1;
        row_0 <= at_end ? '0 : next_row;
        column_0 <= at_end ? '0 : next_column;
      end
    end
    if (enable) begin
      pixels_1 <= in_pixels;
      for (int p = 0; p < BEAT_PIXELS; p++) flags_1[p] <= beat_flags[p] && !(at_end && p >= TAIL);
      row_1 <= row_0;
      column_1 <= column_0;
      first_1 <= beat == '0;
      last_1 <= at_end;
    end
  end

  // --- the number of each active pixel
  logic [BEAT_PIXELS*RANK_BITS-1:0] ranks, ranks_2;
  logic [RANK_BITS-1:0] found;
  always_comb begin
    found = '0;
    for (int p = 0; p < BEAT_PIXELS; p++) begin
      ranks[p*RANK_BITS+:RANK_BITS] = found;
      found = found + RANK_BITS'(flags_1[p]);
    end
  end

  always_ff @(posedge clk)
    if (enable) begin
      pixels_2 <= pixels_1;
      flags_2 <= flags_1;
      ranks_2 <= ranks;
      row_2 <= row_1;
      column_2 <= column_1;
      first_2 <= first_1;
      last_2 <= last_1;
    end

  // --- the packed beat
  logic [PACKED*ENTRY_BITS-1:0] packed_now, packed_3;
  logic [COUNT_BITS-1:0] count_now, count_3;
  always_comb begin
    count_now = '0;
    for (int k = 0; k < PACKED; k++) begin
      logic [PIXEL_BITS-1:0] value;
      logic [PLACE_BITS-1:0] at;
      logic [COORD_BITS-1:0] row;
      logic hit, any;
      value = '0;
      at = '0;
      any = 1'b0;
      for (int p = k; p < BEAT_PIXELS; p++) begin
        hit = flags_2[p] && ranks_2[p*RANK_BITS+:RANK_BITS] == RANK_BITS'(k);
        any |= hit;
        value |= pixels_2[p*PIXEL_BITS+:PIXEL_BITS] & {PIXEL_BITS{hit}};
        at |= PLACE_BITS'(p) & {PLACE_BITS{hit}};
      end
      at = at + column_2;
      row = row_2;
      for (int line = 0; line < LINES; line++)
        if (at >= PLACE_BITS'(WIDTH)) begin
          at = at - PLACE_BITS'(WIDTH);
          row = row + 1'b1;
        end
      packed_now[k*ENTRY_BITS+:ENTRY_BITS] = {COORD_BITS'(at), row, value};
      if (any) count_now = COUNT_BITS'(k + 1);
    end
  end

  always_ff @(posedge clk)
    if (enable) begin
      packed_3 <= packed_now;
      count_3 <= count_now;
      first_3 <= first_2;
      last_3 <= last_2;
    end

  // --- the list
  logic [COUNT_BITS-1:0] count;
  wire [COUNT_BITS-1:0] kept = first_3 ? '0 : count;
  logic [MAX_PIXELS*PIXEL_BITS-1:0] next_features;
  logic [MAX_PIXELS*2*COORD_BITS-1:0] next_coords;
  logic [COUNT_BITS:0] next_count;
  always_comb begin
    next_count = (COUNT_BITS + 1)'(kept) + (COUNT_BITS + 1)'(count_3);
    if (next_count > (COUNT_BITS + 1)'(MAX_PIXELS)) next_count = (COUNT_BITS + 1)'(MAX_PIXELS);
    for (int m = 0; m < MAX_PIXELS; m++) begin
      logic [ENTRY_BITS-1:0] entry;
      entry = {{(2 * COORD_BITS) {1'b1}}, {PIXEL_BITS{1'b0}}};
      for (int k = 0; k <= m && k < PACKED; k++)
        if (kept == COUNT_BITS'(m - k) && count_3 > COUNT_BITS'(k)) entry = packed_3[k*ENTRY_BITS+:ENTRY_BITS];
      if (kept > COUNT_BITS'(m))
        entry = {coords[m*2*COORD_BITS+:2*COORD_BITS], features[m*PIXEL_BITS+:PIXEL_BITS]};
      next_features[m*PIXEL_BITS+:PIXEL_BITS] = entry[PIXEL_BITS-1:0];
      next_coords[m*2*COORD_BITS+:2*COORD_BITS] = entry[ENTRY_BITS-1:PIXEL_BITS];
    end
  end

  always_ff @(posedge clk) begin
    if (!rst_n) out_valid <= 1'b0;
    else if (enable) out_valid <= valid_3 && last_3;
    if (enable && valid_3) begin
      features <= next_features;
      coords <= next_coords;
      count <= next_count[COUNT_BITS-1:0];
    end
  end
endmodule
