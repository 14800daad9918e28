// Input reduction by 'scan': the list of active pixels, one a clock, in row-major order.
//
// The image stands in registers. One bit a row says 'has a pixel that is not listed'. The first such row is picked
// (a clock), read out of the image as a whole (a clock), and its pixels leave one by one (a clock each) while the
// next row is picked and waits. Behind the last pixel empty slots follow, so that a list always takes MAX_PIXELS clocks.
module reduce_scan #(
    parameter int HEIGHT = 1,
    parameter int WIDTH = 1,
    parameter int CHANNELS = 1,
    parameter int BITS = 8,  // of a channel
    parameter bit IS_SIGNED = 0,
    parameter int THRESHOLD = 0,  // active means above it
    parameter int RULE = 0,  // see activity
    parameter int MAX_PIXELS = 1,
    parameter int BEAT_PIXELS = 1,  // pixels of a beat of the input
    parameter int BEATS = 1,  // beats of an image
    parameter int COORD_BITS = 8,
    parameter int SLOT_BITS = 1
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    output logic in_ready,
    input  logic [BEAT_PIXELS*CHANNELS*BITS-1:0] in_pixels,
    input  logic enable,  // the list may grow
    output logic pixel_valid,
    output logic [SLOT_BITS-1:0] pixel_slot,
    output logic pixel_last,
    output logic [CHANNELS*BITS-1:0] pixel,  // 0 in an empty slot
    output logic [2*COORD_BITS-1:0] place  // row in the low bits, column; -1 in an empty slot
);
  localparam int PIXEL_BITS = CHANNELS * BITS;
  localparam int HELD = BEATS * BEAT_PIXELS;
  localparam int BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;

  // --- the image and its active pixels
  logic [HELD*PIXEL_BITS-1:0] image;
  logic [HELD-1:0] flags;
  logic [BEAT_PIXELS-1:0] beat_flags;
  logic scanning, start;
  wire finish;
  wire take = in_valid && in_ready;

  activity #(
      .PIXELS(BEAT_PIXELS), .CHANNELS(CHANNELS), .BITS(BITS), .IS_SIGNED(IS_SIGNED), .THRESHOLD(THRESHOLD), .RULE(RULE)
  ) beat_activity (
      .pixels(in_pixels),
      .active(beat_flags)
  );

  logic [HELD-1:0] listed;  // flags that the scan starts from
  generate
    if (BEATS == 1) begin : gen_at_once
      assign in_ready = !scanning || finish;
      assign start = take;
      assign listed = beat_flags;
      always_ff @(posedge clk)
        if (take) begin
          image <= in_pixels;
          flags <= beat_flags;
        end
    end else begin : gen_beats
      logic [BEAT_BITS-1:0] beat;
      logic complete;
      assign in_ready = !scanning && !complete;
      assign start = complete;
      assign listed = flags;
      always_ff @(posedge clk) begin
        if (!rst_n) begin
          beat <= '0;
          complete <= 1'b0;
        end else begin
          complete <= take && beat == BEAT_BITS'(BEATS - 1);
          if (take) beat <= beat == BEAT_BITS'(BEATS - 1) ? '0 : beat + 1'b1;
        end
      end
      for (genvar b = 0; b < BEATS; b++) begin : gen_beat
        always_ff @(posedge clk)
          if (take && beat == BEAT_BITS'(b)) begin
            image[b*BEAT_PIXELS*PIXEL_BITS+:BEAT_PIXELS*PIXEL_BITS] <= in_pixels;
            flags[b*BEAT_PIXELS+:BEAT_PIXELS] <= beat_flags;
          end
      end
    end
  endgenerate

  // --- the row that is picked
  logic [HEIGHT-1:0] rows_left, picked;
  logic picked_valid;
  wire [HEIGHT-1:0] first_row = rows_left & -rows_left;
  wire row_moves;

  always_ff @(posedge clk) begin
    if (start) begin
      for (int r = 0; r < HEIGHT; r++) rows_left[r] <= |listed[r*WIDTH+:WIDTH];
    end else if (enable && (!picked_valid || row_moves)) begin
      rows_left <= rows_left & ~first_row;
    end
    if (enable && (!picked_valid || row_moves)) picked <= first_row;
    if (!rst_n || start) picked_valid <= 1'b0;
    else if (enable && (!picked_valid || row_moves)) picked_valid <= scanning && |rows_left;
  end

  // --- the row whose pixels leave
  logic [WIDTH-1:0] columns_left, next_columns;
  logic [WIDTH*PIXEL_BITS-1:0] line, next_line;
  logic [COORD_BITS-1:0] row, next_row;
  logic line_valid;
  wire [WIDTH-1:0] first_column = columns_left & -columns_left;
  wire [WIDTH-1:0] rest = columns_left & ~first_column;
  wire line_ends = !line_valid || rest == '0;
  assign row_moves = picked_valid && line_ends;

  always_comb begin
    next_columns = '0;
    next_line = '0;
    next_row = '0;
    for (int r = 0; r < HEIGHT; r++) begin
      next_columns |= flags[r*WIDTH+:WIDTH] & {WIDTH{picked[r]}};
      next_line |= image[r*WIDTH*PIXEL_BITS+:WIDTH*PIXEL_BITS] & {(WIDTH * PIXEL_BITS) {picked[r]}};
      next_row |= COORD_BITS'(r) & {COORD_BITS{picked[r]}};
    end
  end

  always_ff @(posedge clk) begin
    if (!rst_n || start) line_valid <= 1'b0;
    else if (enable && line_ends) line_valid <= row_moves;
    if (enable && row_moves) begin
      columns_left <= next_columns;
      line <= next_line;
      row <= next_row;
    end else if (enable) begin
      columns_left <= rest;
    end
  end

  // --- the pixel that leaves
  logic [SLOT_BITS-1:0] slot;
  logic [PIXEL_BITS-1:0] first_pixel;
  logic [COORD_BITS-1:0] column;
  wire exhausted = !line_valid && !picked_valid && rows_left == '0;
  wire leaves = scanning && (line_valid || exhausted);
  wire at_end = slot == SLOT_BITS'(MAX_PIXELS - 1);
  assign finish = enable && leaves && at_end;

  always_comb begin
    first_pixel = '0;
    column = '0;
    for (int x = 0; x < WIDTH; x++) begin
      first_pixel |= line[x*PIXEL_BITS+:PIXEL_BITS] & {PIXEL_BITS{first_column[x]}};
      column |= COORD_BITS'(x) & {COORD_BITS{first_column[x]}};
    end
  end

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      scanning <= 1'b0;
      slot <= '0;
      pixel_valid <= 1'b0;
    end else begin
      if (start) scanning <= 1'b1;
      else if (finish) scanning <= 1'b0;
      if (enable) begin
        pixel_valid <= leaves;
        if (leaves) slot <= at_end ? '0 : slot + 1'b1;
      end
    end
    if (enable) begin
      pixel_slot <= slot;
      pixel_last <= at_end;
      pixel <= line_valid ? first_pixel : '0;
      place <= line_valid ? {column, row} : '1;
    end
  end
endmodule
