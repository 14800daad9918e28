// Input reduction as a stream: the active pixels of an image one by one, in row-major order, at most MAX_PIXELS of them;
// then a word that ends the event.
//
// Beats without an active pixel are dropped, the others wait in a queue. A beat is cut into chunks: one step finds the
// next chunk that has an active pixel, the next one the next active pixel in it.
module stream_pixels #(
    parameter int HEIGHT = 1,
    parameter int WIDTH = 1,
    parameter int CHANNELS = 1,
    parameter int BITS = 8,  // of a channel
    parameter bit IS_SIGNED = 0,
    parameter int THRESHOLD = 0,  // active means above it
    parameter int RULE = 0,  // see activity
    parameter int MAX_PIXELS = 1,
    parameter int BEAT_PIXELS = 1,
    parameter int BEATS = 1,
    parameter int CHUNK = 1,  // pixels
    parameter int PLACES = 4,  // of the queue of beats
    parameter bit IS_BLOCK = 0,  // that queue is in block memory
    parameter int WIPES = 1,  // clocks after a reset that memories of later steps are wiped for
    parameter int ROW_BITS = 1,
    parameter int COLUMN_BITS = 1
) (
    input  logic clk,
    input  logic rst_n,
    input  logic in_valid,
    output logic in_ready,  // a register; two more beats may come after it fell
    input  logic [BEAT_PIXELS*CHANNELS*BITS-1:0] in_pixels,
    output logic out_valid,
    input  logic out_ready,
    output logic out_ends,  // the event ends: no pixel
    output logic [ROW_BITS-1:0] out_row,
    output logic [COLUMN_BITS-1:0] out_column,
    output logic [CHANNELS*BITS-1:0] out_features
);
  localparam int PIXEL_BITS = CHANNELS * BITS;
  localparam int BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int TAIL = HEIGHT * WIDTH - (BEATS - 1) * BEAT_PIXELS;  // pixels of the last beat
  localparam int CHUNKS = (BEAT_PIXELS + CHUNK - 1) / CHUNK;
  localparam int CHUNK_BITS = CHUNKS > 1 ? $clog2(CHUNKS) : 1;
  localparam int LANE_BITS = CHUNK > 1 ? $clog2(CHUNK) : 1;
  localparam int PLACE_BITS = $clog2(2 * WIDTH);  // of a column beyond the end of a row
  localparam int COUNT_BITS = $clog2(MAX_PIXELS + 1);

  // --- where beats begin
  logic [BEAT_BITS-1:0] beat;
  logic [ROW_BITS-1:0] row_0, row_1;
  logic [PLACE_BITS-1:0] column_0, column_1;
  wire at_end = beat == BEAT_BITS'(BEATS - 1);
  wire [PLACE_BITS-1:0] next_column = column_0 + PLACE_BITS'(BEAT_PIXELS % WIDTH);
  wire wraps = next_column >= PLACE_BITS'(WIDTH);
  wire [BEAT_PIXELS-1:0] beat_flags;
  activity #(
      .PIXELS(BEAT_PIXELS), .CHANNELS(CHANNELS), .BITS(BITS), .IS_SIGNED(IS_SIGNED), .THRESHOLD(THRESHOLD), .RULE(RULE)
  ) flag_pixels (
      .pixels(in_pixels),
      .active(beat_flags)
  );
  logic [CHUNKS*CHUNK-1:0] flags, flags_1;
  logic [BEAT_PIXELS*PIXEL_BITS-1:0] pixels_1;
  logic valid_1, last_1;
  always_comb begin
    flags = '0;
    for (int p = 0; p < BEAT_PIXELS; p++) flags[p] = beat_flags[p] && !(at_end && p >= TAIL);
  end
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      beat <= '0;
      row_0 <= '0;
      column_0 <= '0;
      valid_1 <= 1'b0;
    end else begin
      valid_1 <= in_valid;
      if (in_valid) begin
        beat <= at_end ? '0 : beat + 1'b1;
        row_0 <= at_end ? '0 : row_0 + ROW_BITS'(BEAT_PIXELS / WIDTH) + ROW_BITS'(wraps);
        column_0 <= at_end ? '0 : wraps ? next_column - PLACE_BITS'(WIDTH) : next_column;
      end
    end
    pixels_1 <= in_pixels;
    flags_1 <= flags;
    row_1 <= row_0;
    column_1 <= column_0;
    last_1 <= at_end;
  end

  // --- the beats that wait
  localparam int HEAD = 1 + ROW_BITS + PLACE_BITS + CHUNKS;
  localparam int WORD = HEAD + CHUNKS * CHUNK + BEAT_PIXELS * PIXEL_BITS;
  logic [CHUNKS-1:0] some_1;  // chunks that have an active pixel
  always_comb for (int c = 0; c < CHUNKS; c++) some_1[c] = |flags_1[c*CHUNK+:CHUNK];
  logic full;  // MAX_PIXELS of the event that is given out are out
  localparam int WAIT_BITS = $clog2(PLACES + 2);
  logic [WAIT_BITS-1:0] ends;  // of events in the queue or behind it; none: what comes is of the event that is given out
  wire pushes = valid_1 && (last_1 || (|some_1 && !(full && ends == '0)));
  wire beat_there, beat_done;
  wire [WORD-1:0] word;
  stream_queue #(.BITS(WORD), .PLACES(PLACES), .IS_BLOCK(IS_BLOCK)) beats (
      .clk(clk), .rst_n(rst_n), .in_valid(pushes),
      .in_word({last_1, row_1, column_1, some_1, flags_1, pixels_1}),
      .out_valid(beat_there), .out_ready(beat_done), .out_word(word)
  );
  logic [WAIT_BITS-1:0] waiting;  // beats in the queue
  wire leaves = beat_there && beat_done;
  localparam int WIPE_BITS = $clog2(WIPES + 1);
  logic [WIPE_BITS-1:0] wipes;
  always_ff @(posedge clk)
    if (!rst_n) begin
      waiting <= '0;
      wipes <= WIPE_BITS'(WIPES);
      in_ready <= 1'b0;
    end else begin
      if (wipes != '0) wipes <= wipes - 1'b1;
      if (pushes && !leaves) waiting <= waiting + 1'b1;
      if (leaves && !pushes) waiting <= waiting - 1'b1;
      in_ready <= wipes == '0 && waiting < WAIT_BITS'(PLACES - 4);
    end

  // --- the chunks of a beat
  wire word_last;
  wire [ROW_BITS-1:0] word_row;
  wire [PLACE_BITS-1:0] word_column;
  wire [CHUNKS-1:0] word_some;
  wire [CHUNKS*CHUNK-1:0] word_flags;
  wire [BEAT_PIXELS*PIXEL_BITS-1:0] word_pixels;
  assign {word_last, word_row, word_column, word_some, word_flags, word_pixels} = word;
  logic [CHUNKS-1:0] seen;  // chunks that are done with
  wire [CHUNKS-1:0] left = word_some & ~seen;
  wire [CHUNKS-1:0] first = left & (~left + 1'b1);
  wire one_left = (left & ~first) == '0;
  wire [CHUNK_BITS-1:0] number;
  bit_index #(.SIZE(CHUNKS), .INDEX_BITS(CHUNK_BITS)) find_chunk (.bits(first), .index(number));

  logic chunk_valid, chunk_ends;
  wire chunk_done;
  wire loads = beat_there && (!chunk_valid || chunk_done);
  // A chunk that ends an event resets 'full', so what comes behind it waits to see that.
  wire skips = full && !(chunk_valid && chunk_ends);
  wire nothing = left == '0 || skips;
  wire gives = loads && (!nothing || word_last);
  // The last beat gives one word more, which ends the event.
  assign beat_done = skips ? (!word_last || loads) : loads && (left == '0 || (one_left && !word_last));

  logic [CHUNK-1:0] chunk_flags;
  logic [CHUNK*PIXEL_BITS-1:0] chunk_pixels;
  logic [ROW_BITS-1:0] chunk_row;
  logic [PLACE_BITS-1:0] chunk_column;
  logic [CHUNK_BITS-1:0] chunk_number;
  logic [CHUNK-1:0] picked_flags;
  logic [CHUNK*PIXEL_BITS-1:0] picked_pixels;
  logic [CHUNKS*CHUNK*PIXEL_BITS-1:0] padded;
  always_comb begin
    padded = (CHUNKS * CHUNK * PIXEL_BITS)'(word_pixels);
    picked_flags = '0;
    picked_pixels = '0;
    for (int c = 0; c < CHUNKS; c++) begin
      picked_flags |= word_flags[c*CHUNK+:CHUNK] & {CHUNK{first[c]}};
      picked_pixels |= padded[c*CHUNK*PIXEL_BITS+:CHUNK*PIXEL_BITS] & {(CHUNK * PIXEL_BITS) {first[c]}};
    end
  end
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      chunk_valid <= 1'b0;
      seen <= '0;
    end else begin
      if (!chunk_valid || chunk_done) chunk_valid <= gives;
      if (beat_there && beat_done) seen <= '0;
      else if (gives) seen <= seen | first;
    end
    if (!chunk_valid || chunk_done) begin
      chunk_ends <= nothing;
      chunk_flags <= picked_flags;
      chunk_pixels <= picked_pixels;
      chunk_row <= word_row;
      chunk_column <= word_column;
      chunk_number <= number;
    end
  end

  // --- the pixels of a chunk
  logic [CHUNK-1:0] given;  // pixels that are out
  wire [CHUNK-1:0] still = chunk_flags & ~given;
  wire [CHUNK-1:0] one = still & (~still + 1'b1);
  wire alone = (still & ~one) == '0;
  wire [LANE_BITS-1:0] lane;
  bit_index #(.SIZE(CHUNK), .INDEX_BITS(LANE_BITS)) find_pixel (.bits(one), .index(lane));
  wire moves = !out_valid || out_ready;
  wire passes = chunk_valid && moves && (chunk_ends || !full);
  assign chunk_done = chunk_ends ? moves : full || (moves && alone);

  logic [PIXEL_BITS-1:0] pixel;
  logic [ROW_BITS-1:0] drop;  // rows below the first of the beat
  logic [PLACE_BITS-1:0] place;
  always_comb begin
    pixel = '0;
    for (int p = 0; p < CHUNK; p++) pixel |= chunk_pixels[p*PIXEL_BITS+:PIXEL_BITS] & {PIXEL_BITS{one[p]}};
    drop = '0;
    place = '0;
    for (int c = 0; c < CHUNKS; c++)
      for (int p = 0; p < CHUNK; p++)
        if (chunk_number == CHUNK_BITS'(c) && lane == LANE_BITS'(p)) begin
          drop |= ROW_BITS'((c * CHUNK + p) / WIDTH);
          place |= PLACE_BITS'((c * CHUNK + p) % WIDTH);
        end
  end
  wire [PLACE_BITS-1:0] at = chunk_column + place;
  wire beyond = at >= PLACE_BITS'(WIDTH);
  logic [COUNT_BITS-1:0] count;
  wire ends_in = pushes && last_1;
  wire ends_out = passes && chunk_ends;
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      ends <= '0;
      out_valid <= 1'b0;
      given <= '0;
      count <= '0;
      full <= 1'b0;
    end else begin
      if (moves) out_valid <= passes;
      if (chunk_valid && chunk_done) given <= '0;
      else if (passes) given <= given | one;
      if (ends_in && !ends_out) ends <= ends + 1'b1;
      if (ends_out && !ends_in) ends <= ends - 1'b1;
      if (passes) begin
        count <= chunk_ends ? '0 : count + 1'b1;
        full <= !chunk_ends && count == COUNT_BITS'(MAX_PIXELS - 1);
      end
    end
    if (moves) begin
      out_ends <= chunk_ends;
      out_row <= chunk_row + drop + ROW_BITS'(beyond);
      out_column <= COLUMN_BITS'(beyond ? at - PLACE_BITS'(WIDTH) : at);
      out_features <= pixel;
    end
  end
endmodule
