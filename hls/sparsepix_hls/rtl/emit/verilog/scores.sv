// What the largest pixels are chosen by, as numbers without a sign: first channel, largest channel, or sum of channels.
module scores #(
    parameter int PIXELS = 1,
    parameter int CHANNELS = 1,
    parameter int BITS = 8,  // of a channel
    parameter bit IS_SIGNED = 0,  // channels are in two's complement
    parameter int RULE = 0,  // 0: first channel, 1: largest channel, 2: sum of channels
    parameter int SCORE_BITS = 8  // enough for the sum; the bits above are 0, or 1 below the sign
) (
    input  logic [PIXELS*CHANNELS*BITS-1:0] pixels,
    output logic [PIXELS*SCORE_BITS-1:0] found
);
  localparam logic [SCORE_BITS-1:0] TOP = {IS_SIGNED, {(SCORE_BITS - 1) {1'b0}}};

  logic [SCORE_BITS-1:0] score, value;
  always_comb
    for (int p = 0; p < PIXELS; p++) begin
      score = '0;
      for (int channel = 0; channel < (RULE == 0 ? 1 : CHANNELS); channel++) begin
        value = SCORE_BITS'($signed({
          IS_SIGNED && pixels[(p*CHANNELS+channel)*BITS+BITS-1], pixels[(p*CHANNELS+channel)*BITS+:BITS]
        }));
        value = value ^ TOP;  // without a sign, so that numbers compare as they are
        if (channel == 0) score = value;
        else if (RULE == 2) score = score + (value ^ TOP);
        else if (value > score) score = value;
      end
      found[p*SCORE_BITS+:SCORE_BITS] = score;
    end
endmodule
