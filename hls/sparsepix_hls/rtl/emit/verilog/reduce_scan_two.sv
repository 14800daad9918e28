// Input reduction by 'scan', two pixels a clock, in row-major order.
//
// As in reduce_scan rows are picked, read and emptied, but two of them at a time: two rows wait as picked, and two
// stand read, X before Y. A clock takes two pixels of X, or the last one of X and the first one of Y; what is empty
// then is filled from the rows that wait, so that two rows are at hand as long as the image has any.
// The first pixel of a row that stands read is split off when the row is read ('lead'), the rest are its 'columns':
// so a clock has to find one pixel more of each, not two.
module reduce_scan_two #(
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
    output logic [SLOT_BITS-1:0] pixel_slot,  // number of the pair of slots
    output logic pixel_last,
    output logic [2*CHANNELS*BITS-1:0] pixel,  // 0 in an empty slot; the earlier pixel in the low bits
    output logic [4*COORD_BITS-1:0] place  // row in the low bits, column; -1 in an empty slot
);
  localparam int PIXEL_BITS = CHANNELS * BITS;
  localparam int INDEX_BITS = HEIGHT > 1 ? $clog2(HEIGHT) : 1;
  localparam int PAIRS = (MAX_PIXELS + 1) / 2;

  // --- the image, and the rows that are picked in it
  logic scanning;
  wire start, finish;
  wire [HEIGHT-1:0] listed;

  // Rows that wait, a before b; the first of the others is split off ('lead_row'), as in a row that stands read
  logic [HEIGHT-1:0] lead_row, rows_left;
  logic [INDEX_BITS-1:0] picked_a, picked_b;
  logic valid_a, valid_b;
  wire [HEIGHT-1:0] second_row = rows_left & -rows_left;
  wire [HEIGHT-1:0] rows_behind = rows_left & ~second_row;
  wire [HEIGHT-1:0] third_row = rows_behind & -rows_behind;
  wire [INDEX_BITS-1:0] lead_index, second_index;
  wire some_row = lead_row != '0;  // only in the first clock of an image there are rows and none of them leads
  wire keeps_x, keeps_y;  // the row in X, that in Y has a pixel left

  bit_index #(.SIZE(HEIGHT), .INDEX_BITS(INDEX_BITS)) lead_row_index (.bits(lead_row), .index(lead_index));
  bit_index #(.SIZE(HEIGHT), .INDEX_BITS(INDEX_BITS)) second_row_index (.bits(second_row), .index(second_index));

  always_ff @(posedge clk)
    if (start) begin
      lead_row <= '0;
      rows_left <= listed;
      valid_a <= 1'b0;
      valid_b <= 1'b0;
    end else if (enable && !(keeps_x && keeps_y)) begin
      if (keeps_x || keeps_y) begin
        picked_a <= picked_b;
        valid_a <= valid_b;
        picked_b <= lead_index;
        valid_b <= some_row;
      end else begin
        picked_a <= lead_index;
        valid_a <= some_row;
        picked_b <= second_index;
        valid_b <= some_row && second_row != '0;
      end
      if (keeps_x || keeps_y || !some_row) begin
        lead_row <= second_row;
        rows_left <= rows_behind;
      end else begin
        lead_row <= third_row;
        rows_left <= rows_behind & ~third_row;
      end
    end

  // --- rows that are read
  wire [WIDTH*PIXEL_BITS-1:0] read_line_a, read_line_b;
  wire [WIDTH-1:0] read_a, read_b;
  image_held #(
      .HEIGHT(HEIGHT), .WIDTH(WIDTH), .CHANNELS(CHANNELS), .BITS(BITS), .IS_SIGNED(IS_SIGNED), .THRESHOLD(THRESHOLD),
      .RULE(RULE), .LARGEST(LARGEST), .BEAT_PIXELS(BEAT_PIXELS), .BEATS(BEATS), .READS(2), .INDEX_BITS(INDEX_BITS)
  ) held (
      .clk(clk), .rst_n(rst_n), .in_valid(in_valid), .in_ready(in_ready), .in_pixels(in_pixels),
      .busy(scanning), .done(finish), .start(start), .listed(listed),
      .read_valid({valid_b, valid_a}), .read_index({picked_b, picked_a}), .read_line({read_line_b, read_line_a}),
      .read_columns({read_b, read_a})
  );

  logic [WIDTH-1:0] lead_x, columns_x, lead_y, columns_y;
  logic [WIDTH*PIXEL_BITS-1:0] line_x, line_y;
  logic [COORD_BITS-1:0] row_x, row_y;
  wire [WIDTH-1:0] second_x = columns_x & -columns_x;
  wire [WIDTH-1:0] behind_x = columns_x & ~second_x;
  wire [WIDTH-1:0] third_x = behind_x & -behind_x;
  wire [WIDTH-1:0] second_y = columns_y & -columns_y;
  wire some_x = lead_x != '0;
  wire two_x = columns_x != '0;
  wire some_y = lead_y != '0;
  wire two_y = columns_y != '0;
  wire three_x;
  at_least_two #(.SIZE(WIDTH)) count (.bits(columns_x), .found(three_x));
  assign keeps_x = three_x;
  assign keeps_y = two_x ? some_y : two_y;

  // What stays: X without two pixels, Y whole or without its first.
  wire [WIDTH-1:0] stays_lead_y = two_x ? lead_y : second_y;
  wire [WIDTH-1:0] stays_columns_y = two_x ? columns_y : columns_y & ~second_y;
  wire [WIDTH-1:0] read_lead_a = read_a & -read_a;
  wire [WIDTH-1:0] read_lead_b = read_b & -read_b;

  always_ff @(posedge clk) begin
    if (!rst_n || start) begin
      lead_x <= '0;
      columns_x <= '0;
      lead_y <= '0;
      columns_y <= '0;
    end else if (enable) begin
      lead_x <= keeps_x ? third_x : keeps_y ? stays_lead_y : read_lead_a;
      columns_x <= keeps_x ? behind_x & ~third_x : keeps_y ? stays_columns_y : read_a & ~read_lead_a;
      if (keeps_x && keeps_y) begin
        lead_y <= stays_lead_y;
        columns_y <= stays_columns_y;
      end else begin
        lead_y <= keeps_x || keeps_y ? read_lead_a : read_lead_b;
        columns_y <= keeps_x || keeps_y ? read_a & ~read_lead_a : read_b & ~read_lead_b;
      end
    end
    if (enable && !keeps_x) begin
      line_x <= keeps_y ? line_y : read_line_a;
      row_x <= keeps_y ? row_y : COORD_BITS'(picked_a);
    end
    if (enable && !(keeps_x && keeps_y)) begin
      line_y <= keeps_x || keeps_y ? read_line_a : read_line_b;
      row_y <= COORD_BITS'(keeps_x || keeps_y ? picked_a : picked_b);
    end
  end

  // --- the pixels that leave
  logic [SLOT_BITS-1:0] slot;
  wire exhausted = !some_x && !valid_a && !some_row && rows_left == '0;
  wire leaves = scanning && (some_x || exhausted);
  wire at_end = slot == SLOT_BITS'(PAIRS - 1);
  wire room = !(MAX_PIXELS % 2 == 1 && at_end);  // the last pair may have one slot only
  assign finish = enable && leaves && at_end;

  wire [PIXEL_BITS-1:0] pixel_0, pixel_x, pixel_y;
  wire [COORD_BITS-1:0] column_0, column_x, column_y;
  pixel_read #(
      .WIDTH(WIDTH), .PIXEL_BITS(PIXEL_BITS), .COORD_BITS(COORD_BITS)
  ) first (
      .picked(lead_x), .line(line_x), .pixel(pixel_0), .column(column_0)
  );
  pixel_read #(
      .WIDTH(WIDTH), .PIXEL_BITS(PIXEL_BITS), .COORD_BITS(COORD_BITS)
  ) second_of_x (
      .picked(second_x), .line(line_x), .pixel(pixel_x), .column(column_x)
  );
  pixel_read #(
      .WIDTH(WIDTH), .PIXEL_BITS(PIXEL_BITS), .COORD_BITS(COORD_BITS)
  ) first_of_y (
      .picked(lead_y), .line(line_y), .pixel(pixel_y), .column(column_y)
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
      pixel[PIXEL_BITS-1:0] <= pixel_0;
      place[2*COORD_BITS-1:0] <= some_x ? {column_0, row_x} : '1;
      pixel[PIXEL_BITS+:PIXEL_BITS] <= room ? (pixel_x | (two_x ? '0 : pixel_y)) : '0;
      if (room && two_x) place[2*COORD_BITS+:2*COORD_BITS] <= {column_x, row_x};
      else if (room && some_y) place[2*COORD_BITS+:2*COORD_BITS] <= {column_y, row_y};
      else place[2*COORD_BITS+:2*COORD_BITS] <= '1;
    end
  end
endmodule
