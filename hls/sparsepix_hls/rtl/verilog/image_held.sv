// An image in registers, with a flag for each active pixel. It arrives at once, or in beats.
module image_held #(
    parameter int CHANNELS = 1,
    parameter int BITS = 8,  // of a channel
    parameter bit IS_SIGNED = 0,
    parameter int THRESHOLD = 0,  // active means above it
    parameter int RULE = 0,  // see activity
    parameter int BEAT_PIXELS = 1,  // pixels of a beat of the input
    parameter int BEATS = 1  // beats of an image
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    output logic in_ready,
    input  logic [BEAT_PIXELS*CHANNELS*BITS-1:0] in_pixels,
    input  logic busy,  // the image is still needed
    input  logic done,  // it is needed for the last time
    output logic start,  // a new image is complete
    output logic [BEATS*BEAT_PIXELS-1:0] listed,  // its flags, when it is complete
    output logic [BEATS*BEAT_PIXELS*CHANNELS*BITS-1:0] image,
    output logic [BEATS*BEAT_PIXELS-1:0] flags
);
  localparam int BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int STEP = BEAT_PIXELS * CHANNELS * BITS;
  wire take = in_valid && in_ready;
  wire [BEAT_PIXELS-1:0] beat_flags;

  activity #(
      .PIXELS(BEAT_PIXELS), .CHANNELS(CHANNELS), .BITS(BITS), .IS_SIGNED(IS_SIGNED), .THRESHOLD(THRESHOLD), .RULE(RULE)
  ) beat_activity (
      .pixels(in_pixels),
      .active(beat_flags)
  );

  generate
    if (BEATS == 1) begin : gen_at_once
      assign in_ready = !busy || done;
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
      assign in_ready = !busy && !complete;
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
            image[b*STEP+:STEP] <= in_pixels;
            flags[b*BEAT_PIXELS+:BEAT_PIXELS] <= beat_flags;
          end
      end
    end
  endgenerate
endmodule
