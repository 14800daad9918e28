// Input reduction by 'tree': a new image every clock. Lists of neighbours are joined level by level, first within the
// rows of the image, then the rows; so the index of a pixel in its node is its column, and then its row.
module reduce_tree #(
    parameter int HEIGHT = 1,
    parameter int WIDTH = 1,
    parameter int CHANNELS = 1,
    parameter int BITS = 8,  // of a channel
    parameter bit IS_SIGNED = 0,
    parameter int THRESHOLD = 0,  // active means above it
    parameter int RULE = 0,  // see activity
    parameter int MAX_PIXELS = 1,
    parameter int COORD_BITS = 8,
    parameter int STEP = 1,  // levels between registers
    parameter int DEPTH = 1  // registers on the way, that of the list included
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    input  logic [HEIGHT*WIDTH*CHANNELS*BITS-1:0] in_pixels,
    output logic out_valid,
    output logic [MAX_PIXELS*CHANNELS*BITS-1:0] features,  // 0 in an empty slot
    output logic [MAX_PIXELS*2*COORD_BITS-1:0] coords  // row in the low bits, column; -1 in an empty slot
);
  localparam int PIXEL_BITS = CHANNELS * BITS;
  localparam int COLUMN_LEVELS = WIDTH > 1 ? $clog2(WIDTH) : 0;
  localparam int ROW_LEVELS = HEIGHT > 1 ? $clog2(HEIGHT) : 0;
  localparam int LEVELS = COLUMN_LEVELS + ROW_LEVELS;

  wire [HEIGHT*WIDTH-1:0] active;
  activity #(
      .PIXELS(HEIGHT * WIDTH), .CHANNELS(CHANNELS), .BITS(BITS), .IS_SIGNED(IS_SIGNED), .THRESHOLD(THRESHOLD), .RULE(RULE)
  ) flag_pixels (
      .pixels(in_pixels),
      .active(active)
  );
  valid_chain #(.DEPTH(DEPTH)) valid (.clk(clk), .rst_n(rst_n), .in_valid(in_valid), .out_valid(out_valid));

  generate
    for (genvar k = 0; k <= LEVELS; k++) begin : gen_level
      localparam int SLOTS = k < 20 && (1 << k) < MAX_PIXELS ? 1 << k : MAX_PIXELS;
      localparam int ENTRY = 1 + PIXEL_BITS + k;
      localparam int NODE = SLOTS * ENTRY;
      localparam int NODES = 1 << (LEVELS - k);
      // Of the level below.
      localparam int SLOTS_IN = k > 0 && k <= 20 && (1 << k) / 2 < MAX_PIXELS ? (1 << k) / 2 : MAX_PIXELS;
      localparam int NODE_IN = SLOTS_IN * (PIXEL_BITS + k);
      wire [NODES*NODE-1:0] made;
      logic [NODES*NODE-1:0] nodes;
      wire unused = &{1'b0, nodes};  // a second half beyond the image
      for (genvar n = 0; n < NODES; n++) begin : gen_node
        // The first pixel of the node, and that of its second half.
        localparam int ROW = (n << k) >> COLUMN_LEVELS;
        localparam int COLUMN = (n << k) % (1 << COLUMN_LEVELS);
        localparam int HALF = (n << k) + (k > 0 ? 1 << (k - 1) : 0);
        localparam bit IS_EMPTY = ROW >= HEIGHT || COLUMN >= WIDTH;
        localparam bit IS_HALF = (HALF >> COLUMN_LEVELS) >= HEIGHT || HALF % (1 << COLUMN_LEVELS) >= WIDTH;
        if (IS_EMPTY) begin : gen_empty
          assign made[n*NODE+:NODE] = '0;
        end else if (k == 0) begin : gen_leaf
          localparam int PLACE = ROW * WIDTH + COLUMN;
          assign made[n*NODE+:NODE] =
              {active[PLACE], in_pixels[PLACE*PIXEL_BITS+:PIXEL_BITS] & {PIXEL_BITS{active[PLACE]}}};
        end else begin : gen_join
          wire [NODE_IN-1:0] second = IS_HALF ? '0 : gen_level[k-1].nodes[(2*n+1)*NODE_IN+:NODE_IN];
          tree_node #(
              .SLOTS_IN(SLOTS_IN), .SLOTS(SLOTS), .PIXEL_BITS(PIXEL_BITS), .INDEX_BITS(k - 1)
          ) join_two (
              .first(gen_level[k-1].nodes[2*n*NODE_IN+:NODE_IN]),
              .second(second),
              .joined(made[n*NODE+:NODE])
          );
        end
      end
      if (k < LEVELS && (k + 1) % STEP == 0) begin : gen_register
        always_ff @(posedge clk) nodes <= made;
      end else begin : gen_wire
        assign nodes = made;
      end
    end
  endgenerate

  localparam int ENTRY = 1 + PIXEL_BITS + LEVELS;
  localparam int LISTED = LEVELS < 20 && (1 << LEVELS) < MAX_PIXELS ? 1 << LEVELS : MAX_PIXELS;
  logic [MAX_PIXELS*PIXEL_BITS-1:0] listed;
  logic [MAX_PIXELS*2*COORD_BITS-1:0] places;
  logic [ENTRY-1:0] entry;
  localparam logic [LEVELS+COORD_BITS-1:0] COLUMN = (LEVELS + COORD_BITS)'((1 << COLUMN_LEVELS) - 1);
  logic [LEVELS+COORD_BITS-1:0] index;
  always_comb begin
    listed = '0;
    places = '1;
    for (int m = 0; m < LISTED; m++) begin
      entry = gen_level[LEVELS].nodes[m*ENTRY+:ENTRY];
      index = (LEVELS + COORD_BITS)'(entry[ENTRY-2:0] >> PIXEL_BITS);
      listed[m*PIXEL_BITS+:PIXEL_BITS] = entry[PIXEL_BITS-1:0];
      if (entry[ENTRY-1])
        places[m*2*COORD_BITS+:2*COORD_BITS] = {
          COORD_BITS'(index & COLUMN), COORD_BITS'(index >> COLUMN_LEVELS)
        };
    end
  end
  always_ff @(posedge clk) begin
    features <= listed;
    coords <= places;
  end
endmodule
