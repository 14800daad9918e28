// reduce_scan: a list of STEPS steps for each image, a fixed time after it; and it is the list of the active pixels.
module reduce_scan_properties #(
    parameter int LANES = 1,
    parameter int HEIGHT = 1,
    parameter int WIDTH = 1,
    parameter int CHANNELS = 1,
    parameter int BITS = 8,
    parameter bit IS_SIGNED = 0,
    parameter int THRESHOLD = 0,
    parameter int RULE = 0,
    parameter int MAX_PIXELS = 1,
    parameter int LARGEST = 0,
    parameter int BEAT_PIXELS = 1,
    parameter int BEATS = 1,
    parameter int COORD_BITS = 8,
    parameter int SLOT_BITS = 1
) (
    input logic clk,
    input logic rst_n,
    input logic in_valid,
    input logic [BEAT_PIXELS*CHANNELS*BITS-1:0] in_pixels,
    input logic start,
    input logic scanning,
    input logic [1:0] begins,
    input logic [SLOT_BITS-1:0] slot,
    input logic pixel_valid,
    input logic [SLOT_BITS-1:0] pixel_slot,
    input logic pixel_last,
    input logic [LANES*CHANNELS*BITS-1:0] pixel,
    input logic [LANES*2*COORD_BITS-1:0] place
);
  localparam int STEPS = (MAX_PIXELS + LANES - 1) / LANES;
  localparam int FIRST = LANES + 2;  // clocks from the start to the first step
  localparam int ALL = FIRST + STEPS;
  logic known = 0;
  logic [ALL-1:0] began;  // bit k: a scan began k + 1 clocks ago
  wire [STEPS-1:0] steps = began[ALL-1:FIRST];
  wire [STEPS-1:0] leaves = began[ALL-2:FIRST-1];
  wire [LANES:0] waits = began[LANES:0];
  always_ff @(posedge clk) begin
    known <= known || !rst_n;
    began <= rst_n ? ALL'({began, start}) : '0;
`ifdef FORMAL
    if (!known) assume (!rst_n);
`endif
    if (known && rst_n) begin
      distance: assert (!start || began[ALL-3:0] == '0);
      held: assume (BEATS == 1 && LARGEST == 0 ? !in_valid || began[ALL-3:0] == '0
                    : !in_valid || (!start && began[LANES+STEPS-2:0] == '0));
      scans: assert (scanning == (began[ALL-2:0] != '0));
      begins_in: assert (waits == '0 ? begins == '0 : waits == (LANES + 1)'(1) << (LANES + 1 - int'(begins)));
      next_slot: assert (leaves == '0 ? slot == '0 : leaves == STEPS'(1) << slot);
      in_time: assert (pixel_valid == (steps != '0));
      in_order: assert (!pixel_valid || steps == STEPS'(1) << pixel_slot);
      at_the_end: assert (!pixel_valid || pixel_last == steps[STEPS-1]);
    end
  end

`ifdef FORMAL
  // The image of a scan, and its list as one would write it down.
  localparam int PIXEL_BITS = CHANNELS * BITS;
  generate
    if (LARGEST == 0 && RULE == 0 && !IS_SIGNED && THRESHOLD == 0) begin : gen_list
      localparam int WORD = BEAT_PIXELS * PIXEL_BITS;
      logic [BEATS*WORD-1:0] gathered, next_gathered;  // the image as it arrives
      logic [HEIGHT*WIDTH*PIXEL_BITS-1:0] image, image_before;  // that is scanned, and the one before it
      int beats;
      logic [PIXEL_BITS-1:0] features[STEPS*LANES];
      logic [COORD_BITS-1:0] rows[STEPS*LANES], columns[STEPS*LANES];
      int n;
      always_comb begin
        next_gathered = gathered;
        for (int b = 0; b < BEATS; b++) if (in_valid && beats == b) next_gathered[b*WORD+:WORD] = in_pixels;
      end
      always_ff @(posedge clk) begin
        gathered <= next_gathered;
        if (!rst_n) beats <= 0;
        else if (in_valid) beats <= beats == BEATS - 1 ? 0 : beats + 1;
        if (start) begin
          image <= BEATS == 1 ? in_pixels : gathered[HEIGHT*WIDTH*PIXEL_BITS-1:0];
          image_before <= image;
        end
        if (known && rst_n) counts: assert (beats >= 0 && beats < BEATS);
      end
      // The next image may come while the last steps of this one leave.
      wire [HEIGHT*WIDTH*PIXEL_BITS-1:0] its = began[FIRST-1:0] != '0 ? image_before : image;
      always_comb begin
        n = 0;
        for (int k = 0; k < STEPS * LANES; k++) begin
          features[k] = '0;
          rows[k] = '1;
          columns[k] = '1;
        end
        for (int p = 0; p < HEIGHT * WIDTH; p++)
          if (its[p*PIXEL_BITS+:BITS] != '0 && n < MAX_PIXELS) begin
            features[n] = its[p*PIXEL_BITS+:PIXEL_BITS];
            rows[n] = COORD_BITS'(p / WIDTH);
            columns[n] = COORD_BITS'(p % WIDTH);
            n = n + 1;
          end
      end
      logic [LANES-1:0] wrong;
      always_comb
        for (int q = 0; q < LANES; q++)
          wrong[q] = pixel[q*PIXEL_BITS+:PIXEL_BITS] != features[int'(pixel_slot)*LANES+q]
              || place[2*q*COORD_BITS+:2*COORD_BITS]
                 != {columns[int'(pixel_slot)*LANES+q], rows[int'(pixel_slot)*LANES+q]};
      always_ff @(posedge clk) if (known && rst_n && pixel_valid) listed: assert (wrong == '0);
    end
  endgenerate
`endif
endmodule
