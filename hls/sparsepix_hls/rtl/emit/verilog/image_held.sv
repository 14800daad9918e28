// An image in registers, with a flag for each active pixel; one or two of its rows can be read. It arrives at once, or
// in beats. If only the largest pixels count, the flags of the others are dropped before the image is complete.
module image_held #(
    parameter int HEIGHT = 1,
    parameter int WIDTH = 1,
    parameter int CHANNELS = 1,
    parameter int BITS = 8,  // of a channel
    parameter bit IS_SIGNED = 0,
    parameter int THRESHOLD = 0,  // active means above it
    parameter int RULE = 0,  // see activity
    parameter int LARGEST = 0,  // how many of the active pixels count, the largest ones; 0: all
    parameter int BEAT_PIXELS = 1,  // pixels of a beat of the input
    parameter int BEATS = 1,  // beats of an image
    parameter int READS = 1,  // rows that are read at once
    parameter int INDEX_BITS = 1  // 2 ** INDEX_BITS >= HEIGHT
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    input  logic [BEAT_PIXELS*CHANNELS*BITS-1:0] in_pixels,
    output logic start,  // a new image is complete
    output logic [HEIGHT-1:0] listed,  // the rows that have an active pixel, when it is complete
    input  logic [READS-1:0] read_valid,  // without it no flag is set
    input  logic [READS*INDEX_BITS-1:0] read_index,  // of a row
    output logic [READS*WIDTH*CHANNELS*BITS-1:0] read_line,
    output logic [READS*WIDTH-1:0] read_columns  // its flags
);
  localparam int BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int PIXEL_BITS = CHANNELS * BITS;
  wire [BEATS-1:0] write;  // the beats that are written
  wire [HEIGHT*WIDTH-1:0] active, flags, dropped;  // column by column
  wire [HEIGHT*WIDTH*PIXEL_BITS-1:0] values;

  // Digits of two bits of the keys by which the largest pixels are found, see largest_column
  localparam int SCORE_DIGITS = (BITS + (RULE == 2 ? $clog2(CHANNELS) : 0) + 1) / 2;
  localparam int ROW_DIGITS = ($clog2(HEIGHT) + 1) / 2;
  localparam int COLUMN_DIGITS = ($clog2(WIDTH) + 1) / 2;
  localparam int ROUNDS = SCORE_DIGITS + ROW_DIGITS + COLUMN_DIGITS;
  localparam int ROUND_BITS = ROUNDS > 1 ? $clog2(ROUNDS) : 1;
  localparam int PART_BITS = $clog2(HEIGHT + 1);
  wire held;  // all beats are here
  wire selected, narrow;
  wire [1:0] limit;
  wire [ROUND_BITS-1:0] round;
  wire [WIDTH*3*PART_BITS-1:0] parts;

  generate
    if (BEATS == 1 && LARGEST == 0) begin : gen_at_once
      assign start = in_valid;
      assign write = in_valid;
      assign held = 1'b0;
      wire unused = &{1'b0, rst_n, held, selected};
    end else begin : gen_beats
      logic [BEAT_BITS-1:0] beat;
      logic whole, complete;  // only those pixels are flagged that count
      assign start = complete;
      assign write = BEATS'(in_valid) << beat;
      assign held = whole;
      always_ff @(posedge clk)
        if (!rst_n) begin
          beat <= '0;
          whole <= 1'b0;
        end else begin
          whole <= in_valid && beat == BEAT_BITS'(BEATS - 1);
          if (in_valid) beat <= beat == BEAT_BITS'(BEATS - 1) ? '0 : beat + 1'b1;
        end
      if (LARGEST == 0) begin : gen_all
        assign complete = held;
        wire unused = &{1'b0, selected};
      end else begin : gen_selected
        always_ff @(posedge clk) complete <= rst_n && selected;
      end
    end

    if (LARGEST != 0) begin : gen_largest
      largest_control #(
          .COLUMNS(WIDTH), .PIXELS(HEIGHT * WIDTH), .MAX_PIXELS(LARGEST), .ROUNDS(ROUNDS), .ROUND_BITS(ROUND_BITS),
          .PART_BITS(PART_BITS)
      ) control (
          .clk(clk), .rst_n(rst_n), .begins(held), .parts(parts), .narrow(narrow), .limit(limit),
          .round(round), .done(selected)
      );
      for (genvar x = 0; x < WIDTH; x++) begin : gen_column
        logic [1:0] column_digit;
        always_comb begin
          column_digit = '0;
          for (int d = 0; d < COLUMN_DIGITS; d++)
            if (round == ROUND_BITS'(SCORE_DIGITS + ROW_DIGITS + d)) column_digit = ~2'(x >> (2 * (COLUMN_DIGITS - 1 - d)));
        end
        largest_column #(
            .HEIGHT(HEIGHT), .CHANNELS(CHANNELS), .BITS(BITS), .IS_SIGNED(IS_SIGNED), .RULE(RULE),
            .SCORE_DIGITS(SCORE_DIGITS), .ROW_DIGITS(ROW_DIGITS), .ROUND_BITS(ROUND_BITS), .COUNT_BITS(PART_BITS)
        ) column (
            .clk(clk), .values(values[x*HEIGHT*PIXEL_BITS+:HEIGHT*PIXEL_BITS]), .flags(flags[x*HEIGHT+:HEIGHT]),
            .begins(held), .narrow(narrow), .limit(limit), .round(round), .column_digit(column_digit),
            .dropped(dropped[x*HEIGHT+:HEIGHT]), .counts(parts[x*3*PART_BITS+:3*PART_BITS])
        );
      end
    end else begin : gen_every
      assign dropped = '0;
      assign selected = 1'b0;
      assign {narrow, limit, round, parts} = '0;
      wire unused = &{1'b0, values, narrow, limit, round, parts};
    end

    for (genvar x = 0; x < WIDTH; x++) begin : gen_column
      wire [HEIGHT*PIXEL_BITS-1:0] pixels;
      wire [HEIGHT-1:0] writes;
      wire [READS*PIXEL_BITS-1:0] read_pixel;
      wire [READS-1:0] read_flag;
      for (genvar r = 0; r < HEIGHT; r++) begin : gen_row
        localparam int PLACE = r * WIDTH + x;  // pixels come in row-major order
        assign pixels[r*PIXEL_BITS+:PIXEL_BITS] = in_pixels[(PLACE%BEAT_PIXELS)*PIXEL_BITS+:PIXEL_BITS];
        assign writes[r] = write[PLACE/BEAT_PIXELS];
      end
      for (genvar k = 0; k < READS; k++) begin : gen_read
        assign read_line[(k*WIDTH+x)*PIXEL_BITS+:PIXEL_BITS] = read_pixel[k*PIXEL_BITS+:PIXEL_BITS];
        assign read_columns[k*WIDTH+x] = read_valid[k] && read_flag[k];
      end
      image_column #(
          .HEIGHT(HEIGHT), .CHANNELS(CHANNELS), .BITS(BITS), .IS_SIGNED(IS_SIGNED), .THRESHOLD(THRESHOLD),
          .RULE(RULE), .DROPS(LARGEST != 0), .READS(READS), .INDEX_BITS(INDEX_BITS)
      ) column (
          .clk(clk), .write(writes), .pixels(pixels), .dropped(dropped[x*HEIGHT+:HEIGHT]),
          .active(active[x*HEIGHT+:HEIGHT]), .flags(flags[x*HEIGHT+:HEIGHT]),
          .values(values[x*HEIGHT*PIXEL_BITS+:HEIGHT*PIXEL_BITS]), .index(read_index), .read_pixel(read_pixel),
          .read_flag(read_flag)
      );
    end
  endgenerate

  always_comb begin
    listed = '0;
    for (int x = 0; x < WIDTH; x++)
      listed |= BEATS == 1 && LARGEST == 0 ? active[x*HEIGHT+:HEIGHT] : flags[x*HEIGHT+:HEIGHT];
  end
endmodule
