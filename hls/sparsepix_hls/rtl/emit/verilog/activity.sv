// Which pixels of a beat are active: first channel, any channel or the sum of channels above a threshold.
module activity #(
    parameter int PIXELS = 1,  // of a beat
    parameter int CHANNELS = 1,
    parameter int BITS = 8,  // of a channel
    parameter bit IS_SIGNED = 0,  // channels are in two's complement
    parameter int THRESHOLD = 0,  // raw integer, on the grid of the channels
    parameter int RULE = 0  // 0: first channel, 1: any channel, 2: sum of channels
) (
    input  logic [PIXELS*CHANNELS*BITS-1:0] pixels,
    output logic [PIXELS-1:0] active
);
  localparam int SUM_BITS = BITS + 1 + $clog2(CHANNELS + 1);
  localparam int WIDE = SUM_BITS > 33 ? SUM_BITS : 33;  // holds the threshold too
  localparam logic signed [WIDE-1:0] LIMIT = WIDE'(THRESHOLD);
  localparam int USED = RULE == 0 ? 1 : CHANNELS;

  // One process for all pixels: a simulator keeps the loop, where one process a pixel takes its compiler minutes.
  logic signed [WIDE-1:0] score, sum;
  logic [BITS-1:0] value;
  logic any;
  always_comb
    for (int p = 0; p < PIXELS; p++) begin
      sum = '0;
      any = 1'b0;
      for (int channel = 0; channel < USED; channel++) begin
        value = pixels[(p*CHANNELS+channel)*BITS+:BITS];
        score = WIDE'($signed({IS_SIGNED && value[BITS-1], value}));
        sum = sum + score;
        // Above 0 means not 0, for which Yosys takes fewer LUTs than for its comparison.
        any = any || (THRESHOLD == 0 && !IS_SIGNED ? |value : score > LIMIT);
      end
      active[p] = RULE == 2 ? sum > LIMIT : any;
    end
endmodule
