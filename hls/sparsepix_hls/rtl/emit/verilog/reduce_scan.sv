// Input reduction by 'scan': the list of active pixels, one or two a clock, in row-major order.
//
// The image is held in registers. One bit a row says 'has a pixel that is not listed'. The first such row is picked
// (a clock), read out of the image as a whole (a clock), and its pixels leave one by one (a clock each) while the
// next row is picked and waits. After the last pixel empty slots follow: a list always takes the same time.
// If it is to list the largest pixels and not the first, the others lose their flags before, see largest_control.
//
// Two pixels a clock: two rows are picked and wait, and two have been read, X before Y. A clock takes two pixels of X,
// or the last one of X and the first one of Y. What is empty then is filled from the rows that wait, so that two rows
// are at hand as long as the image has any.
module reduce_scan #(
    parameter int LANES = 1,  // pixels a clock: 1 or 2
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
    input  logic [BEAT_PIXELS*CHANNELS*BITS-1:0] in_pixels,
    output logic pixel_valid,
    output logic [SLOT_BITS-1:0] pixel_slot,  // number of the slot, or of the pair of slots
    output logic pixel_last,
    output logic [LANES*CHANNELS*BITS-1:0] pixel,  // 0 in an empty slot; the earlier pixel in the low bits
    output logic [LANES*2*COORD_BITS-1:0] place  // row in the low bits, column; -1 in an empty slot
);
  localparam int PIXEL_BITS = CHANNELS * BITS;
  localparam int LINE_BITS = WIDTH * PIXEL_BITS;
  localparam int PLACE_BITS = 2 * COORD_BITS;
  localparam int INDEX_BITS = HEIGHT > 1 ? $clog2(HEIGHT) : 1;
  localparam int STEPS = (MAX_PIXELS + LANES - 1) / LANES;

  // --- the image, and the rows that are picked in it
  logic scanning;
  wire start;
  wire [HEIGHT-1:0] listed;
  logic [HEIGHT-1:0] rows_left;
  wire [LANES-1:0] picked_valid;
  wire [LANES*INDEX_BITS-1:0] picked;
  wire [LANES*LINE_BITS-1:0] read_line;
  wire [LANES*WIDTH-1:0] read_columns;

  image_held #(
      .HEIGHT(HEIGHT), .WIDTH(WIDTH), .CHANNELS(CHANNELS), .BITS(BITS), .IS_SIGNED(IS_SIGNED), .THRESHOLD(THRESHOLD),
      .RULE(RULE), .LARGEST(LARGEST), .BEAT_PIXELS(BEAT_PIXELS), .BEATS(BEATS), .READS(LANES), .INDEX_BITS(INDEX_BITS)
  ) image (
      .clk(clk), .rst_n(rst_n), .in_valid(in_valid), .in_pixels(in_pixels), .start(start), .listed(listed),
      .read_valid(picked_valid), .read_index(picked), .read_line(read_line), .read_columns(read_columns)
  );

  // --- the pixels that leave
  wire some;  // a pixel can leave
  logic [1:0] begins;  // clocks until the first one can, if there is any: its row is picked, and read
  wire [LANES*PIXEL_BITS-1:0] next_pixel;
  wire [LANES*PLACE_BITS-1:0] next_place;
  logic [SLOT_BITS-1:0] slot;
  wire leaves = scanning && begins == '0;
  wire at_end = slot == SLOT_BITS'(STEPS - 1);

  generate
    if (LANES == 1) begin : gen_one
      // --- the row that waits
      logic [INDEX_BITS-1:0] waits;
      logic valid;
      wire [HEIGHT-1:0] first_row = rows_left & -rows_left;
      wire [INDEX_BITS-1:0] first_index;
      wire row_moves;
      assign picked = waits;
      assign picked_valid = valid;

      bit_index #(.SIZE(HEIGHT), .INDEX_BITS(INDEX_BITS)) first_row_index (.bits(first_row), .index(first_index));

      always_ff @(posedge clk)
        if (start) begin
          rows_left <= listed;
          valid <= 1'b0;
        end else if (!valid || row_moves) begin
          rows_left <= rows_left & ~first_row;
          waits <= first_index;
          valid <= rows_left != '0;
        end

      // --- the row whose pixels leave; none: no bit of its columns is set
      logic [WIDTH-1:0] columns_left;
      logic [LINE_BITS-1:0] line;
      logic [COORD_BITS-1:0] row;
      wire [COORD_BITS-1:0] column;
      wire [WIDTH-1:0] first_column = columns_left & -columns_left;
      wire [WIDTH-1:0] rest = columns_left & ~first_column;
      assign row_moves = rest == '0;
      assign some = columns_left != '0;
      assign next_place = some ? {column, row} : '1;

      always_ff @(posedge clk) begin
        if (!rst_n || start) columns_left <= '0;
        else columns_left <= row_moves ? read_columns : rest;
        if (row_moves) begin
          line <= read_line;
          row <= COORD_BITS'(picked);
        end
      end

      pixel_read #(
          .WIDTH(WIDTH), .PIXEL_BITS(PIXEL_BITS), .COORD_BITS(COORD_BITS)
      ) first (
          .picked(first_column), .line(line), .pixel(next_pixel), .column(column)
      );
    end else begin : gen_two
      // --- the rows that wait, a before b. The first of the others is split off ('lead'), and so is the first pixel of
      // a row when it is read: so a clock has to find one more of each, not two.
      logic [HEIGHT-1:0] lead_row;
      logic [INDEX_BITS-1:0] picked_a, picked_b;
      logic valid_a, valid_b;
      wire [HEIGHT-1:0] second_row = rows_left & -rows_left;
      wire [HEIGHT-1:0] rows_after = rows_left & ~second_row;
      wire [HEIGHT-1:0] third_row = rows_after & -rows_after;
      wire [INDEX_BITS-1:0] lead_index, second_index;
      wire some_row = lead_row != '0;  // only in the first clock of an image there are rows and none of them leads
      wire keeps_x, keeps_y;  // the row in X, that in Y has a pixel left
      assign picked = {picked_b, picked_a};
      assign picked_valid = {valid_b, valid_a};

      bit_index #(.SIZE(HEIGHT), .INDEX_BITS(INDEX_BITS)) lead_row_index (.bits(lead_row), .index(lead_index));
      bit_index #(.SIZE(HEIGHT), .INDEX_BITS(INDEX_BITS)) second_row_index (.bits(second_row), .index(second_index));

      always_ff @(posedge clk)
        if (start) begin
          lead_row <= '0;
          rows_left <= listed;
          valid_a <= 1'b0;
          valid_b <= 1'b0;
        end else if (!(keeps_x && keeps_y)) begin
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
            rows_left <= rows_after;
          end else begin
            lead_row <= third_row;
            rows_left <= rows_after & ~third_row;
          end
        end

      // --- the rows whose pixels leave
      wire [LINE_BITS-1:0] read_line_a = read_line[LINE_BITS-1:0];
      wire [LINE_BITS-1:0] read_line_b = read_line[LINE_BITS+:LINE_BITS];
      wire [WIDTH-1:0] read_a = read_columns[WIDTH-1:0];
      wire [WIDTH-1:0] read_b = read_columns[WIDTH+:WIDTH];
      logic [WIDTH-1:0] lead_x, columns_x, lead_y, columns_y;
      logic [LINE_BITS-1:0] line_x, line_y;
      logic [COORD_BITS-1:0] row_x, row_y;
      wire [WIDTH-1:0] second_x = columns_x & -columns_x;
      wire [WIDTH-1:0] after_x = columns_x & ~second_x;
      wire [WIDTH-1:0] third_x = after_x & -after_x;
      wire [WIDTH-1:0] second_y = columns_y & -columns_y;
      wire two_x = columns_x != '0;
      wire some_y = lead_y != '0;
      wire two_y = columns_y != '0;
      wire three_x;
      at_least_two #(.SIZE(WIDTH)) count (.bits(columns_x), .found(three_x));
      assign some = lead_x != '0;
      assign keeps_x = three_x;
      assign keeps_y = two_x ? some_y : two_y;

      // What is left: X without two pixels, Y whole or without its first.
      wire [WIDTH-1:0] left_lead_y = two_x ? lead_y : second_y;
      wire [WIDTH-1:0] left_columns_y = two_x ? columns_y : columns_y & ~second_y;
      wire [WIDTH-1:0] read_lead_a = read_a & -read_a;
      wire [WIDTH-1:0] read_lead_b = read_b & -read_b;

      always_ff @(posedge clk) begin
        if (!rst_n || start) begin
          lead_x <= '0;
          columns_x <= '0;
          lead_y <= '0;
          columns_y <= '0;
        end else begin
          lead_x <= keeps_x ? third_x : keeps_y ? left_lead_y : read_lead_a;
          columns_x <= keeps_x ? after_x & ~third_x : keeps_y ? left_columns_y : read_a & ~read_lead_a;
          if (keeps_x && keeps_y) begin
            lead_y <= left_lead_y;
            columns_y <= left_columns_y;
          end else begin
            lead_y <= keeps_x || keeps_y ? read_lead_a : read_lead_b;
            columns_y <= keeps_x || keeps_y ? read_a & ~read_lead_a : read_b & ~read_lead_b;
          end
        end
        if (!keeps_x) begin
          line_x <= keeps_y ? line_y : read_line_a;
          row_x <= keeps_y ? row_y : COORD_BITS'(picked_a);
        end
        if (!(keeps_x && keeps_y)) begin
          line_y <= keeps_x || keeps_y ? read_line_a : read_line_b;
          row_y <= keeps_x || keeps_y ? COORD_BITS'(picked_a) : COORD_BITS'(picked_b);
        end
      end

      wire room = !(MAX_PIXELS % 2 == 1 && at_end);  // the last pair may have one slot only
      wire [PIXEL_BITS-1:0] pixel_x, pixel_y;
      wire [COORD_BITS-1:0] column_0, column_x, column_y;
      pixel_read #(
          .WIDTH(WIDTH), .PIXEL_BITS(PIXEL_BITS), .COORD_BITS(COORD_BITS)
      ) first (
          .picked(lead_x), .line(line_x), .pixel(next_pixel[PIXEL_BITS-1:0]), .column(column_0)
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
      assign next_pixel[PIXEL_BITS+:PIXEL_BITS] = room ? (pixel_x | (two_x ? '0 : pixel_y)) : '0;
      assign next_place[PLACE_BITS-1:0] = some ? {column_0, row_x} : '1;
      assign next_place[PLACE_BITS+:PLACE_BITS] =
          room && two_x ? {column_x, row_x} : room && some_y ? {column_y, row_y} : '1;
    end
  endgenerate

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      scanning <= 1'b0;
      begins <= '0;
      slot <= '0;
      pixel_valid <= 1'b0;
    end else begin
      if (start) scanning <= 1'b1;
      else if (leaves && at_end) scanning <= 1'b0;
      if (start) begins <= 2'(LANES + 1);
      else if (begins != '0) begins <= begins - 1'b1;
      if (leaves) slot <= at_end ? '0 : slot + 1'b1;
      pixel_valid <= leaves;
    end
    pixel_slot <= slot;
    pixel_last <= at_end;
    pixel <= next_pixel;
    place <= next_place;
  end
endmodule
