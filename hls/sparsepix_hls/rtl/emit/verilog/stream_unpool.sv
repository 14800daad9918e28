// Gives each pixel of a stream the features of its cell: those of a second stream, whose pixels are cells; 0 if there is
// none.
//
// Both come in row-major order. Cells of the row of the pixel that is next are kept; once a cell of a later row has come,
// or their end, all that the pixel could lie in are there. One of the two streams moves on in a clock.
module stream_unpool #(
    parameter int HEIGHT = 1,
    parameter int WIDTH = 1,
    parameter int CELL_HEIGHT = 1,
    parameter int CELL_WIDTH = 1,
    parameter int GRID_WIDTH = 1,  // cells of a row
    parameter int BITS = 8,  // of the features of a cell
    parameter bit IS_BLOCK = 0,  // the memory is block memory
    parameter int ROW_BITS = 1,
    parameter int COLUMN_BITS = 1,
    parameter int GRID_ROW_BITS = 1,  // of a row and of a column of cells
    parameter int GRID_COLUMN_BITS = 1
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in0_valid,  // cells
    output logic in0_ready,
    input  logic in0_ends,
    input  logic [GRID_ROW_BITS-1:0] in0_row,
    input  logic [GRID_COLUMN_BITS-1:0] in0_column,
    input  logic [BITS-1:0] in0_features,
    input  logic in1_valid,  // pixels
    output logic in1_ready,
    input  logic in1_ends,
    input  logic [ROW_BITS-1:0] in1_row,
    input  logic [COLUMN_BITS-1:0] in1_column,
    input  logic free,  // there is room for one more pixel
    output logic sent,  // it is on its way
    output logic out_valid,
    output logic out_ends,
    output logic [ROW_BITS-1:0] out_row,
    output logic [COLUMN_BITS-1:0] out_column,
    output logic [BITS-1:0] out_merged
);
  // --- the cell of a pixel; it may be beyond those of the second stream
  wire [ROW_BITS-1:0] line;
  wire [COLUMN_BITS-1:0] place;
  quotient #(.VALUES(HEIGHT), .BITS(ROW_BITS), .BY(CELL_HEIGHT), .QUOTIENT_BITS(ROW_BITS)) line_of_row (
      .value(in1_row), .whole(line)
  );
  quotient #(.VALUES(WIDTH), .BITS(COLUMN_BITS), .BY(CELL_WIDTH), .QUOTIENT_BITS(COLUMN_BITS)) place_of_column (
      .value(in1_column), .whole(place)
  );

  // --- which stream moves on
  wire both = in0_valid && in1_valid;
  wire known = in0_ends || (!in1_ends && ROW_BITS'(in0_row) > line);
  wire keeps = both && !known;
  assign sent = both && known && free;
  assign in1_ready = sent;
  assign in0_ready = keeps || (sent && in1_ends);

  // --- the row of cells that is kept
  logic [GRID_WIDTH-1:0] some, here, there;
  logic [GRID_ROW_BITS-1:0] kept_line;
  always_comb
    for (int x = 0; x < GRID_WIDTH; x++) begin
      here[x] = in0_column == GRID_COLUMN_BITS'(x);
      there[x] = place == COLUMN_BITS'(x);
    end
  always_ff @(posedge clk)
    if (!rst_n || (sent && in1_ends)) some <= '0;
    else if (keeps) some <= here | (in0_row == kept_line ? some : '0);
  wire [BITS-1:0] read;
  stream_bank #(.BITS(BITS), .ADDRESS_BITS(GRID_COLUMN_BITS), .IS_BLOCK(IS_BLOCK)) memory (
      .clk(clk), .writes(keeps), .write_at(in0_column), .write_word(in0_features),
      .read_at(GRID_COLUMN_BITS'(place)), .read_word(read)
  );

  logic found;
  always_ff @(posedge clk) begin
    if (!rst_n) out_valid <= 1'b0;
    else out_valid <= sent;
    if (keeps) kept_line <= in0_row;
    out_ends <= in1_ends;
    out_row <= in1_row;
    out_column <= in1_column;
    found <= ROW_BITS'(kept_line) == line && (some & there) != '0;
  end
  assign out_merged = found ? read : '0;
endmodule
