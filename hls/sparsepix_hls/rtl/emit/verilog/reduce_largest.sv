// Input reduction by 'stream' of the largest pixels: some pixels a clock, while the image arrives, which is never held.
//
// Each pixel of a beat has a lane of its own: a sorted list of the largest pixels that came there. After the last beat
// the lists are handed to a tournament, which finds the largest of all lanes, one a clock, while the lanes take the next
// image; and each that leaves takes its place in a second list, in row-major order. Of equal scores the earlier pixel
// is larger: in a lane it came before, and the tournament looks at beats and then at lanes.
//
// LEVELS + MAX_PIXELS + 5 clocks after the last beat the list is complete. The last beats of two images are at least
// MAX_PIXELS clocks apart.
module reduce_largest #(
    parameter int HEIGHT = 1,
    parameter int WIDTH = 1,
    parameter int CHANNELS = 1,
    parameter int BITS = 8,  // of a channel
    parameter bit IS_SIGNED = 0,
    parameter int THRESHOLD = 0,  // active means above it
    parameter int RULE = 0,  // see activity and scores
    parameter int MAX_PIXELS = 1,
    parameter int BEAT_PIXELS = 1,
    parameter int BEATS = 1,
    parameter int COORD_BITS = 8
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
  localparam int SLOT_BITS = MAX_PIXELS > 1 ? $clog2(MAX_PIXELS) : 1;
  localparam int TAIL = HEIGHT * WIDTH - (BEATS - 1) * BEAT_PIXELS;  // pixels of the last beat
  localparam int LEVELS = $clog2(BEAT_PIXELS);
  localparam int LEAVES = 1 << LEVELS;
  localparam int LANE_BITS = LEVELS > 0 ? LEVELS : 1;
  localparam int KEPT = MAX_PIXELS < BEATS ? MAX_PIXELS : BEATS;  // of a lane
  localparam int SCORE_BITS = BITS + (RULE == 2 ? $clog2(CHANNELS) : 0);
  // The score of an active pixel is above the threshold, so it is not 0, and 0 can say 'none': unless all are active.
  localparam bit MARKED = THRESHOLD < (IS_SIGNED ? -(1 << (SCORE_BITS - 1)) : 0);
  localparam int KEY_BITS = SCORE_BITS + (MARKED ? 1 : 0);
  localparam int SAID = RULE == 0 || CHANNELS == 1 ? 1 : 0;  // channels that the score says: the first one
  localparam int OTHER_BITS = PIXEL_BITS - SAID * BITS;
  localparam int REST_BITS = OTHER_BITS > 0 ? OTHER_BITS : 1;
  localparam int PAD = REST_BITS - OTHER_BITS;
  localparam int HELD_BITS = KEY_BITS + BEAT_BITS + OTHER_BITS;  // in a lane: key, beat inverted, other channels
  localparam int ENTRY_BITS = HELD_BITS + LANE_BITS;  // in the tournament: lane inverted after the beat
  localparam int RANK_BITS = KEY_BITS + BEAT_BITS;

  // --- the key of each pixel
  wire [BEAT_PIXELS-1:0] flags;
  wire [BEAT_PIXELS*SCORE_BITS-1:0] found;
  activity #(
      .PIXELS(BEAT_PIXELS), .CHANNELS(CHANNELS), .BITS(BITS), .IS_SIGNED(IS_SIGNED), .THRESHOLD(THRESHOLD), .RULE(RULE)
  ) flag_pixels (
      .pixels(in_pixels),
      .active(flags)
  );
  scores #(
      .PIXELS(BEAT_PIXELS), .CHANNELS(CHANNELS), .BITS(BITS), .IS_SIGNED(IS_SIGNED), .RULE(RULE),
      .SCORE_BITS(SCORE_BITS)
  ) score_pixels (
      .pixels(in_pixels), .found(found)
  );

  logic [BEAT_BITS-1:0] beat;
  wire at_end = beat == BEAT_BITS'(BEATS - 1);
  logic valid_1, first_1, last_1;
  logic [BEAT_PIXELS*HELD_BITS-1:0] entries_1;
  logic [BEAT_PIXELS*HELD_BITS-1:0] entries;
  always_comb
    for (int p = 0; p < BEAT_PIXELS; p++) begin
      logic counts;
      logic [KEY_BITS-1:0] key;
      logic [REST_BITS-1:0] rest;
      counts = flags[p] && !(at_end && p >= TAIL);
      key = '1;
      key[SCORE_BITS-1:0] = found[p*SCORE_BITS+:SCORE_BITS];
      rest = REST_BITS'(in_pixels[p*PIXEL_BITS+:PIXEL_BITS] >> (SAID * BITS));
      entries[p*HELD_BITS+:HELD_BITS] = HELD_BITS'({counts ? key : '0, ~beat, rest} >> PAD);
    end

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      beat <= '0;
      valid_1 <= 1'b0;
    end else begin
      valid_1 <= in_valid;
      if (in_valid) beat <= at_end ? '0 : beat + 1'b1;
    end
    entries_1 <= entries;
    first_1 <= beat == '0;
    last_1 <= at_end;
  end

  // --- the lanes, and what is left of each for the tournament, whose entries know their lane
  logic [LEVELS:0] starts;  // bit l: level l takes its first entry; bit 0: what is left is handed over
  wire [2*LEAVES*ENTRY_BITS-1:ENTRY_BITS] node;  // a heap: node n has 2n and 2n + 1 below it, the root is 1
  wire [LEAVES:1] begins, later_wins;
  logic busy;
  logic [2*LEAVES-1:1] taken;  // the entry of a node goes to the one above it
  assign begins[LEAVES] = 1'b0;
  assign later_wins[LEAVES] = 1'b0;
  always_comb begin
    taken = '0;
    taken[1] = busy;
    for (int n = 1; n < LEAVES; n++) begin
      taken[2*n] = (begins[n] || taken[n]) && !later_wins[n];
      taken[2*n+1] = (begins[n] || taken[n]) && later_wins[n];
    end
  end

  generate
    for (genvar p = 0; p < LEAVES; p++) begin : gen_lanes
      if (p < BEAT_PIXELS) begin : gen_lane
        localparam logic [LANE_BITS-1:0] INVERTED = LANE_BITS'(LEAVES - 1 - p);
        wire [KEPT*HELD_BITS-1:0] list;
        logic [KEPT*HELD_BITS-1:0] left;
        sorted_list #(
            .SIZE(KEPT), .KEY_BITS(KEY_BITS), .BITS(HELD_BITS)
        ) lane (
            .clk(clk), .insert(valid_1), .first(first_1), .entry(entries_1[p*HELD_BITS+:HELD_BITS]), .list(list)
        );
        always_ff @(posedge clk)
          if (starts[0]) left <= list;
          else if (taken[LEAVES+p]) left <= left >> HELD_BITS;
        assign node[(LEAVES+p)*ENTRY_BITS+:ENTRY_BITS] = ENTRY_BITS'(
            {left[HELD_BITS-1-:RANK_BITS], INVERTED, left[REST_BITS-1:0]} >> PAD);
      end else begin : gen_none
        assign node[(LEAVES+p)*ENTRY_BITS+:ENTRY_BITS] = '0;
      end
    end

    // --- the tournament
    for (genvar n = 1; n < LEAVES; n++) begin : gen_nodes
      logic [ENTRY_BITS-1:0] held;
      wire [ENTRY_BITS-1:0] earlier = node[2*n*ENTRY_BITS+:ENTRY_BITS];
      wire [ENTRY_BITS-1:0] later = node[(2*n+1)*ENTRY_BITS+:ENTRY_BITS];
      assign begins[n] = starts[LEVELS+1-$clog2(n+1)];
      assign later_wins[n] = later[ENTRY_BITS-1-:RANK_BITS] > earlier[ENTRY_BITS-1-:RANK_BITS];
      assign node[n*ENTRY_BITS+:ENTRY_BITS] = held;
      always_ff @(posedge clk) if (begins[n] || taken[n]) held <= later_wins[n] ? later : earlier;
    end
  endgenerate

  // --- those that leave, one a clock
  logic [SLOT_BITS-1:0] slot;
  wire slot_last = slot == SLOT_BITS'(MAX_PIXELS - 1);
  always_ff @(posedge clk)
    if (!rst_n) begin
      starts <= '0;
      busy <= 1'b0;
      slot <= '0;
    end else begin
      starts <= (LEVELS + 1)'({starts, valid_1 && last_1});
      busy <= starts[LEVELS] || (busy && !slot_last);
      if (busy) slot <= slot_last ? '0 : slot + 1'b1;
    end

  // --- where they lie: where their beat begins, and how far their lane is from there
  localparam int ROW_BITS = HEIGHT > 1 ? $clog2(HEIGHT) : 1;
  localparam int COLUMN_BITS = WIDTH > 1 ? $clog2(WIDTH) : 1;
  localparam int ALONG_BITS = $clog2(2 * WIDTH);
  localparam int PLACE_BITS = ROW_BITS + ALONG_BITS;
  wire [ENTRY_BITS-1:0] winner = node[ENTRY_BITS+:ENTRY_BITS];
  wire [BEAT_BITS-1:0] its_beat = ~winner[LANE_BITS+OTHER_BITS+:BEAT_BITS];
  wire [LANE_BITS-1:0] its_lane = LANE_BITS'(LEAVES - 1) - winner[OTHER_BITS+:LANE_BITS];
  logic [PLACE_BITS-1:0] beat_place[1<<BEAT_BITS];  // row in the high bits
  logic [PLACE_BITS-1:0] lane_place[1<<LANE_BITS];
  initial begin
    for (int b = 0; b < 1 << BEAT_BITS; b++)
      beat_place[b] = {ROW_BITS'(b * BEAT_PIXELS / WIDTH), ALONG_BITS'(b * BEAT_PIXELS % WIDTH)};
    for (int p = 0; p < 1 << LANE_BITS; p++) lane_place[p] = {ROW_BITS'(p / WIDTH), ALONG_BITS'(p % WIDTH)};
  end

  logic leaves, leaves_first, leaves_last;
  logic [KEY_BITS-1:0] its_key;
  logic [REST_BITS-1:0] its_rest;
  logic [PLACE_BITS-1:0] from, beyond;
  always_ff @(posedge clk) begin
    leaves <= rst_n && busy;
    leaves_first <= slot == '0;
    leaves_last <= slot_last;
    its_key <= winner[ENTRY_BITS-1-:KEY_BITS];
    its_rest <= winner[REST_BITS-1:0];
    from <= beat_place[its_beat];
    beyond <= lane_place[its_lane];
  end
  wire [ALONG_BITS-1:0] along = from[ALONG_BITS-1:0] + beyond[ALONG_BITS-1:0];
  wire wraps = along >= ALONG_BITS'(WIDTH);
  wire [COLUMN_BITS-1:0] column = COLUMN_BITS'(wraps ? along - ALONG_BITS'(WIDTH) : along);
  wire [ROW_BITS-1:0] row = from[PLACE_BITS-1-:ROW_BITS] + beyond[PLACE_BITS-1-:ROW_BITS] + ROW_BITS'(wraps);
  wire [BITS-1:0] said = its_key[BITS-1:0] ^ {IS_SIGNED, {(BITS - 1) {1'b0}}};
  wire [PIXEL_BITS-1:0] pixel =
      SAID == 0 ? PIXEL_BITS'(its_rest) : PIXEL_BITS'({OTHER_BITS > 0 ? its_rest : '0, said});

  // --- the list; places are held inverted: nothing is 0, and the earlier is the larger
  localparam int ORDER_BITS = 1 + ROW_BITS + COLUMN_BITS;
  localparam int LISTED_BITS = ORDER_BITS + PIXEL_BITS;
  logic [LISTED_BITS-1:0] listed;
  logic listed_valid, listed_first, listed_last;
  always_ff @(posedge clk) begin
    listed <= {1'b1, ~row, ~column, pixel} & {LISTED_BITS{its_key != '0}};
    listed_valid <= rst_n && leaves;
    listed_first <= leaves_first;
    listed_last <= leaves_last;
  end
  wire [MAX_PIXELS*LISTED_BITS-1:0] list;
  sorted_list #(
      .SIZE(MAX_PIXELS), .KEY_BITS(ORDER_BITS), .BITS(LISTED_BITS)
  ) in_order (
      .clk(clk), .insert(listed_valid), .first(listed_first), .entry(listed), .list(list)
  );
  always_ff @(posedge clk) out_valid <= rst_n && listed_valid && listed_last;
  always_comb
    for (int m = 0; m < MAX_PIXELS; m++) begin
      logic [ORDER_BITS-1:0] order;
      logic there;
      order = list[m*LISTED_BITS+PIXEL_BITS+:ORDER_BITS];
      there = order[ORDER_BITS-1];
      features[m*PIXEL_BITS+:PIXEL_BITS] = list[m*LISTED_BITS+:PIXEL_BITS];
      coords[m*2*COORD_BITS+:2*COORD_BITS] = ~{
        {(COORD_BITS - COLUMN_BITS) {there}}, order[COLUMN_BITS-1:0],
        {(COORD_BITS - ROW_BITS) {there}}, order[COLUMN_BITS+:ROW_BITS]
      };
    end
endmodule
