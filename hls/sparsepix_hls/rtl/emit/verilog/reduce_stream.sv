// Input reduction by 'stream': some pixels a clock, while the image arrives.
//
// A beat is cut into groups of pixels that one LUT counts. Clock 1: each pixel learns how many active ones its group has
// before it. Clock 2: each group learns how many the groups before it have, and packs its own ones to its front ('entry'
// v is its active pixel of number v). Clock 3: each group learns the slot that it begins at. What comes to each slot is
// collected, and joined to the list; with CUTS = 1 that is a clock of its own, with CUTS = 2 it is two.
// With the last beat the list is complete; the first beat of the next event may follow at once.
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
    parameter int CUTS = 0  // registers within clock 3
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    input  logic [BEAT_PIXELS*CHANNELS*BITS-1:0] in_pixels,
    output logic out_valid,
    output logic [MAX_PIXELS*CHANNELS*BITS-1:0] features,  // 0 in an empty slot
    output logic [MAX_PIXELS*2*COORD_BITS-1:0] coords  // row in the low bits, column; -1 in an empty slot
);
  localparam int PIXEL_BITS = CHANNELS * BITS;
  localparam int BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int TAIL = HEIGHT * WIDTH - (BEATS - 1) * BEAT_PIXELS;  // pixels of the last beat
  localparam int GROUP = 6;  // inputs of a LUT
  localparam int GROUPS = (BEAT_PIXELS + GROUP - 1) / GROUP;
  localparam int INNER_BITS = 3;  // holds 0 ... GROUP
  localparam int SUM_BITS = $clog2(MAX_PIXELS + BEAT_PIXELS + 1);
  // Beats of whole rows begin in column 0, beats that divide a row end in it: no pixel lies beyond a row's end.
  localparam bit ROWS = BEAT_PIXELS % WIDTH == 0;
  localparam bit CROSSES = !ROWS && WIDTH % BEAT_PIXELS != 0;
  localparam int DROPS = (BEAT_PIXELS - 1) / WIDTH + (CROSSES ? 1 : 0);  // rows that a pixel may lie below the first
  localparam int DROP_BITS = DROPS > 0 ? $clog2(DROPS + 1) : 1;
  localparam int PLACE_BITS = $clog2(2 * WIDTH);
  localparam int ENTRY_BITS = 1 + DROP_BITS + COORD_BITS + PIXEL_BITS;  // it is there, its row, its column, its value

  // --- clock 1: active pixels, and their number in their group
  wire [BEAT_PIXELS-1:0] beat_flags;
  activity #(
      .PIXELS(BEAT_PIXELS), .CHANNELS(CHANNELS), .BITS(BITS), .IS_SIGNED(IS_SIGNED), .THRESHOLD(THRESHOLD), .RULE(RULE)
  ) flag_pixels (
      .pixels(in_pixels),
      .active(beat_flags)
  );

  logic [BEAT_BITS-1:0] beat;
  wire at_end = beat == BEAT_BITS'(BEATS - 1);
  logic [GROUPS*GROUP-1:0] flags, flags_1;
  logic [GROUPS*GROUP*INNER_BITS-1:0] inner, inner_1;
  logic [GROUPS*INNER_BITS-1:0] counts, counts_1;
  always_comb begin
    flags = '0;
    for (int p = 0; p < BEAT_PIXELS; p++) flags[p] = beat_flags[p] && !(at_end && p >= TAIL);
    for (int g = 0; g < GROUPS; g++) begin
      logic [INNER_BITS-1:0] found;
      found = '0;
      for (int i = 0; i < GROUP; i++) begin
        inner[(g*GROUP+i)*INNER_BITS+:INNER_BITS] = found;
        found = found + INNER_BITS'(flags[g*GROUP+i]);
      end
      counts[g*INNER_BITS+:INNER_BITS] = found;
    end
  end

  logic [BEAT_PIXELS*PIXEL_BITS-1:0] pixels_1;
  logic valid_1, valid_2, first_1, first_2, last_1, last_2;
  logic [COORD_BITS-1:0] row_0, row_1, row_2;  // where a beat begins
  logic [PLACE_BITS-1:0] column_0, column_1;
  wire [PLACE_BITS-1:0] next_column = column_0 + PLACE_BITS'(BEAT_PIXELS % WIDTH);
  wire wraps = next_column >= PLACE_BITS'(WIDTH);

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      beat <= '0;
      row_0 <= '0;
      column_0 <= '0;
      valid_1 <= 1'b0;
      valid_2 <= 1'b0;
    end else begin
      valid_1 <= in_valid;
      valid_2 <= valid_1;
      if (in_valid) begin
        beat <= at_end ? '0 : beat + 1'b1;
        row_0 <= at_end ? '0 : row_0 + COORD_BITS'(BEAT_PIXELS / WIDTH) + COORD_BITS'(wraps);
        column_0 <= at_end ? '0 : wraps ? next_column - PLACE_BITS'(WIDTH) : next_column;
      end
    end
    pixels_1 <= in_pixels;
    flags_1 <= flags;
    inner_1 <= inner;
    counts_1 <= counts;
    row_1 <= row_0;
    column_1 <= column_0;
    first_1 <= beat == '0;
    last_1 <= at_end;
  end

  // --- clock 2: active pixels before each group, in log2(GROUPS) steps; group g + 1 has the sum up to g
  logic [(GROUPS+1)*SUM_BITS-1:0] earlier, earlier_2;
  always_comb begin
    earlier = '0;
    for (int g = 0; g < GROUPS; g++)
      earlier[(g+1)*SUM_BITS+:SUM_BITS] = SUM_BITS'(counts_1[g*INNER_BITS+:INNER_BITS]);
    for (int step = 1; step < GROUPS; step = 2 * step)
      for (int g = GROUPS; g > step; g--)
        earlier[g*SUM_BITS+:SUM_BITS] = earlier[g*SUM_BITS+:SUM_BITS] + earlier[(g-step)*SUM_BITS+:SUM_BITS];
  end

  // and the entries of each group
  logic [GROUPS*GROUP*ENTRY_BITS-1:0] entries, entries_2;
  always_comb begin
    entries = '0;
    for (int p = 0; p < BEAT_PIXELS; p++) begin
      logic [PLACE_BITS-1:0] at;
      logic [ENTRY_BITS-1:0] entry;
      logic beyond;
      at = (ROWS ? '0 : column_1) + PLACE_BITS'(p % WIDTH);
      beyond = CROSSES && at >= PLACE_BITS'(WIDTH);
      if (beyond) at = at - PLACE_BITS'(WIDTH);
      entry = {
        1'b1, DROP_BITS'(p / WIDTH) + DROP_BITS'(beyond), COORD_BITS'(at), pixels_1[p*PIXEL_BITS+:PIXEL_BITS]
      };
      for (int v = 0; v <= p % GROUP; v++)
        if (flags_1[p] && inner_1[p*INNER_BITS+:INNER_BITS] == INNER_BITS'(v))
          entries[(p/GROUP*GROUP+v)*ENTRY_BITS+:ENTRY_BITS] |= entry;
    end
  end

  always_ff @(posedge clk) begin
    earlier_2 <= earlier;
    entries_2 <= entries;
    row_2 <= row_1;
    first_2 <= first_1;
    last_2 <= last_1;
  end

  // --- clock 3: where each group begins in the list
  localparam int FLAG_BITS = COORD_BITS + 3;
  logic [COUNT_BITS-1:0] count;
  wire [COUNT_BITS-1:0] kept = first_2 ? '0 : count;
  wire [SUM_BITS-1:0] together = SUM_BITS'(kept) + earlier_2[GROUPS*SUM_BITS+:SUM_BITS];
  logic [GROUPS*MAX_PIXELS-1:0] begins, begins_3;  // slot of the first entry of each group
  logic [GROUPS*GROUP*ENTRY_BITS-1:0] entries_3;
  logic [COORD_BITS-1:0] row_3;
  logic valid_3, first_3, last_3;
  always_comb
    for (int g = 0; g < GROUPS; g++) begin
      logic [SUM_BITS-1:0] start;
      start = SUM_BITS'(kept) + earlier_2[g*SUM_BITS+:SUM_BITS];
      for (int m = 0; m < MAX_PIXELS; m++) begins[g*MAX_PIXELS+m] = start == SUM_BITS'(m);
    end
  always_ff @(posedge clk)
    if (valid_2) count <= together > SUM_BITS'(MAX_PIXELS) ? COUNT_BITS'(MAX_PIXELS) : COUNT_BITS'(together);

  register_or_wire #(
      .BITS(GROUPS * MAX_PIXELS + GROUPS * GROUP * ENTRY_BITS), .FLAGS(FLAG_BITS), .IS_REGISTER(CUTS > 0)
  ) cut_3 (
      .clk(clk), .rst_n(rst_n), .in({begins, entries_2}), .marks({row_2, first_2, last_2, valid_2}),
      .out({begins_3, entries_3}), .marks_out({row_3, first_3, last_3, valid_3})
  );

  // --- what comes to each slot; coords are held inverted, so that nothing is 0
  logic [MAX_PIXELS*PIXEL_BITS-1:0] new_features, new_features_4;
  logic [MAX_PIXELS*2*COORD_BITS-1:0] new_inverted, new_inverted_4;
  logic valid_4, first_4, last_4;
  always_comb
    for (int m = 0; m < MAX_PIXELS; m++) begin
      logic [ENTRY_BITS-1:0] entry;
      logic [COORD_BITS-1:0] row;
      entry = '0;
      for (int g = 0; g < GROUPS; g++)
        for (int v = 0; v < GROUP && v <= m; v++)
          entry |= entries_3[(g*GROUP+v)*ENTRY_BITS+:ENTRY_BITS] & {ENTRY_BITS{begins_3[g*MAX_PIXELS+m-v]}};
      row = row_3 + COORD_BITS'(entry[PIXEL_BITS+COORD_BITS+:DROP_BITS]);
      new_features[m*PIXEL_BITS+:PIXEL_BITS] = entry[PIXEL_BITS-1:0];
      new_inverted[m*2*COORD_BITS+:2*COORD_BITS] =
          {~entry[PIXEL_BITS+:COORD_BITS], ~row} & {(2 * COORD_BITS) {entry[ENTRY_BITS-1]}};
    end

  register_or_wire #(
      .BITS(MAX_PIXELS * (PIXEL_BITS + 2 * COORD_BITS)), .FLAGS(3), .IS_REGISTER(CUTS > 1)
  ) cut_4 (
      .clk(clk), .rst_n(rst_n), .in({new_features, new_inverted}), .marks({first_3, last_3, valid_3}),
      .out({new_features_4, new_inverted_4}), .marks_out({first_4, last_4, valid_4})
  );

  // --- the list: what has not come is 0, so what is new is joined by 'or'
  logic [MAX_PIXELS*2*COORD_BITS-1:0] inverted;
  assign coords = ~inverted;
  always_ff @(posedge clk) begin
    if (!rst_n) out_valid <= 1'b0;
    else out_valid <= valid_4 && last_4;
    if (valid_4) begin
      features <= (first_4 ? '0 : features) | new_features_4;
      inverted <= (first_4 ? '0 : inverted) | new_inverted_4;
    end
  end
endmodule
