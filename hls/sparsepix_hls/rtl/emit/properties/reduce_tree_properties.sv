// reduce_tree: the list of an image DEPTH clocks after it, a new image every clock.
module reduce_tree_properties #(
    parameter int HEIGHT = 1,
    parameter int WIDTH = 1,
    parameter int CHANNELS = 1,
    parameter int BITS = 8,
    parameter bit IS_SIGNED = 0,
    parameter int THRESHOLD = 0,
    parameter int RULE = 0,
    parameter int MAX_PIXELS = 1,
    parameter int COORD_BITS = 8,
    parameter int DEPTH = 1
) (
    input logic clk,
    input logic rst_n,
    input logic in_valid,
    input logic [HEIGHT*WIDTH*CHANNELS*BITS-1:0] in_pixels,
    input logic out_valid,
    input logic [MAX_PIXELS*CHANNELS*BITS-1:0] features,
    input logic [MAX_PIXELS*2*COORD_BITS-1:0] coords
);
  logic known = 0;
  logic [DEPTH-1:0] came;  // bit k: an image came k + 1 clocks ago
  always_ff @(posedge clk) begin
    known <= known || !rst_n;
    came <= rst_n ? DEPTH'({came, in_valid}) : '0;
`ifdef FORMAL
    if (!known) assume (!rst_n);
`endif
    if (known && rst_n) in_time: assert (out_valid == came[DEPTH-1]);
  end

`ifdef FORMAL
  // The list as one would write it down.
  localparam int PIXEL_BITS = CHANNELS * BITS;
  localparam int ALL = MAX_PIXELS * (PIXEL_BITS + 2 * COORD_BITS);
  generate
    if (RULE == 0 && !IS_SIGNED && THRESHOLD == 0) begin : gen_list
      logic [MAX_PIXELS*PIXEL_BITS-1:0] list;
      logic [MAX_PIXELS*2*COORD_BITS-1:0] places;
      logic [DEPTH*ALL-1:0] late;
      int n;
      always_comb begin
        list = '0;
        places = '1;
        n = 0;
        for (int p = 0; p < HEIGHT * WIDTH; p++)
          if (in_pixels[p*PIXEL_BITS+:BITS] != '0 && n < MAX_PIXELS) begin
            for (int m = 0; m < MAX_PIXELS; m++)
              if (m == n) begin
                list[m*PIXEL_BITS+:PIXEL_BITS] = in_pixels[p*PIXEL_BITS+:PIXEL_BITS];
                places[m*2*COORD_BITS+:2*COORD_BITS] = {COORD_BITS'(p % WIDTH), COORD_BITS'(p / WIDTH)};
              end
            n = n + 1;
          end
      end
      always_ff @(posedge clk) begin
        late <= (DEPTH * ALL)'({late, list, places});
        if (known && rst_n && out_valid) listed: assert ({features, coords} == late[DEPTH*ALL-1-:ALL]);
      end
    end
  endgenerate
`endif
endmodule
