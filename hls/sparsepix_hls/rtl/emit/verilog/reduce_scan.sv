// Input reduction by 'scan': the list of active pixels, one a clock, in row-major order.
//
// The image stands in registers. One bit a row says 'has a pixel that is not listed'. The first such row is picked
// (a clock), read out of the image as a whole (a clock), and its pixels leave one by one (a clock each) while the
// next row is picked and waits. Behind the last pixel empty slots follow, so that a list always takes MAX_PIXELS clocks.
// Is it to list the largest pixels and not the first, the others lose their flags before, see largest_control.
module reduce_scan #(
    parameter int HEIGHT = 1,
    parameter int WIDTH = 1,
    parameter int CHANNELS = 1,
    parameter int BITS = 8,  // of a channel
    parameter bit IS_SIGNED = 0,
    parameter int THRESHOLD = 0,  // active means above it
    parameter int RULE = 0,  // see activity
    parameter int MAX_PIXELS = 1,
    parameter int LARGEST = 0,  // how many of the active pixels count, the largest ones; 0: all
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
  localparam int INDEX_BITS = HEIGHT > 1 ? $clog2(HEIGHT) : 1;

  // --- the image, and the row that is picked in it
  logic scanning;
  wire start, finish;
  wire [HEIGHT-1:0] listed;
  logic [HEIGHT-1:0] rows_left;
  logic [INDEX_BITS-1:0] picked;
  logic picked_valid;
  wire [HEIGHT-1:0] first_row = rows_left & -rows_left;
  wire [INDEX_BITS-1:0] first_index;
  wire row_moves;

  bit_index #(.SIZE(HEIGHT), .INDEX_BITS(INDEX_BITS)) first_row_index (.bits(first_row), .index(first_index));

  always_ff @(posedge clk)
    if (start) begin
      rows_left <= listed;
      picked_valid <= 1'b0;
    end else if (enable && (!picked_valid || row_moves)) begin
      rows_left <= rows_left & ~first_row;
      picked <= first_index;
      picked_valid <= rows_left != '0;
    end

  // --- the row whose pixels leave; none: no bit of its columns is set
  logic [WIDTH-1:0] columns_left;
  logic [WIDTH*PIXEL_BITS-1:0] line;
  logic [COORD_BITS-1:0] row;
  wire [WIDTH-1:0] next_columns;
  wire [WIDTH*PIXEL_BITS-1:0] next_line;
  wire [WIDTH-1:0] first_column = columns_left & -columns_left;
  wire [WIDTH-1:0] rest = columns_left & ~first_column;
  assign row_moves = rest == '0;

  image_held #(
      .HEIGHT(HEIGHT), .WIDTH(WIDTH), .CHANNELS(CHANNELS), .BITS(BITS), .IS_SIGNED(IS_SIGNED), .THRESHOLD(THRESHOLD),
      .RULE(RULE), .LARGEST(LARGEST), .BEAT_PIXELS(BEAT_PIXELS), .BEATS(BEATS), .READS(1), .INDEX_BITS(INDEX_BITS)
  ) held (
      .clk(clk), .rst_n(rst_n), .in_valid(in_valid), .in_ready(in_ready), .in_pixels(in_pixels),
      .busy(scanning), .done(finish), .start(start), .listed(listed),
      .read_valid(picked_valid), .read_index(picked), .read_line(next_line), .read_columns(next_columns)
  );

  always_ff @(posedge clk) begin
    if (!rst_n || start) columns_left <= '0;
    else if (enable) columns_left <= row_moves ? next_columns : rest;
    if (enable && row_moves) begin
      line <= next_line;
      row <= COORD_BITS'(picked);
    end
  end

  // --- the pixel that leaves
  logic [SLOT_BITS-1:0] slot;
  wire [PIXEL_BITS-1:0] first_pixel;
  wire [COORD_BITS-1:0] column;
  wire some = columns_left != '0;
  wire exhausted = !some && !picked_valid && rows_left == '0;
  wire leaves = scanning && (some || exhausted);
  wire at_end = slot == SLOT_BITS'(MAX_PIXELS - 1);
  assign finish = enable && leaves && at_end;

  pixel_read #(
      .WIDTH(WIDTH), .PIXEL_BITS(PIXEL_BITS), .COORD_BITS(COORD_BITS)
  ) first (
      .picked(first_column), .line(line), .pixel(first_pixel), .column(column)
  );

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
      pixel <= first_pixel;
      place <= some ? {column, row} : '1;
    end
  end
endmodule
