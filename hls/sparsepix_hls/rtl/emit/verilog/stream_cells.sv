// Merges the pixels of a stream that lie in one cell: their sum, or their maximum, for each channel.
//
// Pixels come in row-major order, so a row of cells is done with when a pixel of a later one comes. It is given out then,
// cell by cell, while the next row of cells is merged in the other one of two memories.
module stream_cells #(
    parameter int HEIGHT = 1,
    parameter int WIDTH = 1,
    parameter int CELL_HEIGHT = 1,
    parameter int CELL_WIDTH = 1,
    parameter int GRID_HEIGHT = 1,  // cells that count; pixels beyond them are dropped
    parameter int GRID_WIDTH = 1,
    parameter int CHANNELS = 1,
    parameter int BITS = 8,  // of a channel that comes in
    parameter bit IS_SIGNED = 0,
    parameter bit IS_SUM = 0,  // not the maximum
    parameter int MERGED_BITS = 8,  // of a channel that goes out
    parameter bit IS_BLOCK = 0,  // the memories are block memory
    parameter int ROW_BITS = 1,
    parameter int COLUMN_BITS = 1,
    parameter int LINE_BITS = 1,  // of a row of cells
    parameter int PLACE_BITS = 1  // of a column of cells
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    output logic in_ready,
    input  logic in_ends,
    input  logic [ROW_BITS-1:0] in_row,
    input  logic [COLUMN_BITS-1:0] in_column,
    input  logic [CHANNELS*BITS-1:0] in_features,
    input  logic free,  // there is room for one more cell
    output logic sent,  // it is on its way
    output logic out_valid,
    output logic out_ends,
    output logic [LINE_BITS-1:0] out_row,
    output logic [PLACE_BITS-1:0] out_column,
    output logic [CHANNELS*MERGED_BITS-1:0] out_merged,
    output logic out_whole  // all pixels of the cell are active
);
  localparam int AREA = CELL_HEIGHT * CELL_WIDTH;
  localparam int COUNT_BITS = $clog2(AREA + 1);
  localparam int VALUE_BITS = CHANNELS * MERGED_BITS;
  localparam int WORD = COUNT_BITS + VALUE_BITS;

  // --- the cell of a pixel
  wire [LINE_BITS:0] in_line;
  wire [PLACE_BITS:0] in_place;
  quotient #(.VALUES(HEIGHT), .BITS(ROW_BITS), .BY(CELL_HEIGHT), .QUOTIENT_BITS(LINE_BITS + 1)) line_of_row (
      .value(in_row), .whole(in_line)
  );
  quotient #(.VALUES(WIDTH), .BITS(COLUMN_BITS), .BY(CELL_WIDTH), .QUOTIENT_BITS(PLACE_BITS + 1)) place_of_column (
      .value(in_column), .whole(in_place)
  );
  wire counts = !in_ends && in_line < (LINE_BITS + 1)'(GRID_HEIGHT) && in_place < (PLACE_BITS + 1)'(GRID_WIDTH);

  // --- the row of cells that is merged, and the one that is given out
  logic half;
  logic [LINE_BITS-1:0] line, given_line;
  logic [GRID_WIDTH-1:0] some, given;  // cells that have a pixel; that are still to be given out
  logic given_ends;  // the event ends behind them
  wire turns = in_ends || (counts && some != '0 && LINE_BITS'(in_line) != line);
  wire giving = given != '0 || given_ends;
  assign in_ready = !(turns && giving);
  wire takes = in_valid && in_ready;
  wire now_half = half ^ (takes && turns);
  logic [GRID_WIDTH-1:0] here;
  always_comb for (int x = 0; x < GRID_WIDTH; x++) here[x] = counts && in_place == (PLACE_BITS + 1)'(x);

  wire [GRID_WIDTH-1:0] first = given & (~given + 1'b1);
  wire [PLACE_BITS-1:0] given_place;
  bit_index #(.SIZE(GRID_WIDTH), .INDEX_BITS(PLACE_BITS)) find_cell (.bits(first), .index(given_place));
  assign sent = giving && free;

  always_ff @(posedge clk)
    if (!rst_n) begin
      half <= 1'b0;
      some <= '0;
      given <= '0;
      given_ends <= 1'b0;
    end else begin
      if (takes) some <= here | (turns ? '0 : some);
      if (takes && turns) begin
        half <= !half;
        given <= some;
        given_ends <= in_ends;
      end else if (sent) begin
        given <= given & ~first;
        if (given == '0) given_ends <= 1'b0;
      end
    end
  always_ff @(posedge clk)
    if (takes) begin
      if (counts) line <= LINE_BITS'(in_line);
      if (turns) given_line <= line;
    end

  // --- clock 1: what has been merged before is read
  wire [WORD-1:0] read_0, read_1;
  logic [1:0] writes;
  logic [PLACE_BITS-1:0] write_at;
  logic [WORD-1:0] write_word;
  wire [PLACE_BITS-1:0] merge_at = PLACE_BITS'(in_place);
  stream_bank #(.BITS(WORD), .ADDRESS_BITS(PLACE_BITS), .IS_BLOCK(IS_BLOCK)) memory_0 (
      .clk(clk), .writes(writes[0]), .write_at(write_at), .write_word(write_word),
      .read_at(now_half ? given_place : merge_at), .read_word(read_0)
  );
  stream_bank #(.BITS(WORD), .ADDRESS_BITS(PLACE_BITS), .IS_BLOCK(IS_BLOCK)) memory_1 (
      .clk(clk), .writes(writes[1]), .write_at(write_at), .write_word(write_word),
      .read_at(now_half ? merge_at : given_place), .read_word(read_1)
  );
  logic valid_1, half_1, begins_1, again_1;
  logic [PLACE_BITS-1:0] place_1;
  logic [CHANNELS*BITS-1:0] features_1;
  logic out_half;
  always_ff @(posedge clk) begin
    valid_1 <= rst_n && takes && counts;
    half_1 <= now_half;
    begins_1 <= turns || (some & here) == '0;
    again_1 <= valid_1 && place_1 == merge_at;  // it is written in this clock
    place_1 <= merge_at;
    features_1 <= in_features;
  end

  // --- clock 2: it is merged with the pixel
  logic [WORD-1:0] last, merged;
  always_comb begin
    logic [BITS-1:0] pixel;
    logic [MERGED_BITS-1:0] value, old;
    logic larger;
    merged = again_1 ? last : half_1 ? read_1 : read_0;
    write_word = merged;
    for (int c = 0; c < CHANNELS; c++) begin
      pixel = features_1[c*BITS+:BITS];
      value = MERGED_BITS'($signed({IS_SIGNED && pixel[BITS-1], pixel}));
      old = merged[c*MERGED_BITS+:MERGED_BITS];
      larger = IS_SIGNED ? $signed(value) > $signed(old) : value > old;
      if (IS_SUM) write_word[c*MERGED_BITS+:MERGED_BITS] = begins_1 ? value : old + value;
      else if (begins_1 || larger) write_word[c*MERGED_BITS+:MERGED_BITS] = value;
    end
    write_word[VALUE_BITS+:COUNT_BITS] =
        begins_1 ? COUNT_BITS'(1) : merged[VALUE_BITS+:COUNT_BITS] + COUNT_BITS'(1);
    writes = {valid_1 && half_1, valid_1 && !half_1};
    write_at = place_1;
  end
  always_ff @(posedge clk) last <= write_word;

  // --- cells go out
  always_ff @(posedge clk) begin
    if (!rst_n) out_valid <= 1'b0;
    else out_valid <= sent;
    out_ends <= given == '0;
    out_row <= given_line;
    out_column <= given_place;
    out_half <= !half;
  end
  wire [WORD-1:0] out_word = out_half ? read_1 : read_0;
  assign out_merged = out_word[VALUE_BITS-1:0];
  assign out_whole = out_word[VALUE_BITS+:COUNT_BITS] == COUNT_BITS'(AREA);
endmodule
