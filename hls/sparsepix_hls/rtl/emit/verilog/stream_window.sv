// The window around each pixel of a stream, for a convolution: features of the active pixels in it, 0 elsewhere. With
// strides, the window around the first place of each cell of so many rows and columns that has an active pixel.
//
// Pixels come in row-major order. Each is written to one of KERNEL_HEIGHT x KERNEL_WIDTH memories, by its row and column
// modulo the kernel, so that a window reads each memory once. A window is complete when a pixel has come that lies beyond
// it, or the event has ended; until then its centre waits in a queue.
//
// What is in a memory counts if its row is the one that is looked for and its generation that of the event. Two events
// may be in the memories at once, each in its half. Generations come again: before that, what is left of the old one is
// wiped away, SWEEP words at the end of each event, and all words after a reset.
module stream_window #(
    parameter int HEIGHT = 1,
    parameter int WIDTH = 1,
    parameter int BITS = 8,  // of the features of a pixel
    parameter int KERNEL_HEIGHT = 3,
    parameter int KERNEL_WIDTH = 3,
    parameter int STRIDE_DOWN = 1,
    parameter int STRIDE_SIDE = 1,
    parameter int GRID_WIDTH = 1,  // cells of a row
    parameter int CENTRES = 4,  // places of the queue of centres, so many that the oldest is complete if it is full
    parameter int GROUP_BITS = 1,  // 2 ** GROUP_BITS * KERNEL_WIDTH >= WIDTH
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
    input  logic [BITS-1:0] in_features,
    input  logic free,  // there is room for one more window
    output logic sent,  // it is on its way
    output logic out_valid,
    output logic out_ends,
    output logic [LINE_BITS-1:0] out_row,
    output logic [PLACE_BITS-1:0] out_column,
    output logic [KERNEL_HEIGHT*KERNEL_WIDTH*BITS-1:0] out_window
);
  localparam int ABOVE = KERNEL_HEIGHT / 2, BELOW = KERNEL_HEIGHT - 1 - ABOVE;
  localparam int BEFORE = KERNEL_WIDTH / 2, AFTER = KERNEL_WIDTH - 1 - BEFORE;
  localparam int AREA = KERNEL_HEIGHT * KERNEL_WIDTH;
  localparam int ROWS = 2 * KERNEL_HEIGHT;  // that a half of the memories holds
  localparam int SLOT_BITS = $clog2(ROWS);
  localparam int ACROSS_BITS = KERNEL_WIDTH > 1 ? $clog2(KERNEL_WIDTH) : 1;
  localparam int DOWN_STEPS = $clog2(KERNEL_HEIGHT), SIDE_STEPS = $clog2(KERNEL_WIDTH);  // of a window that is turned
  localparam int ADDRESS_BITS = GROUP_BITS + 2;  // half, which of two rows, group of columns
  localparam int GENERATION_BITS = 6;
  localparam int TAG_BITS = 1 + GENERATION_BITS + ROW_BITS;
  localparam int DOWN_BITS = ROW_BITS + 2;  // of sums of rows, with a sign
  localparam int SIDE_BITS = COLUMN_BITS + 2;

  // --- what comes in
  logic half, begun;  // of the event that comes in; it has a pixel
  logic [GENERATION_BITS-1:0] generation;
  logic [ROW_BITS-1:0] first_row, last_row;  // its first and its newest pixel
  logic [COLUMN_BITS-1:0] last_column;
  logic [1:0] ended;  // events that have come in and still have centres waiting
  wire sweeps;  // a memory takes one write a clock
  wire head_there, head_taken, head_half, head_ends;  // the oldest centre
  wire [LINE_BITS-1:0] head_line;
  wire [PLACE_BITS-1:0] head_place;
  wire [ROW_BITS-1:0] head_row = ROW_BITS'(head_line * STRIDE_DOWN);
  wire [COLUMN_BITS-1:0] head_column = COLUMN_BITS'(head_place * STRIDE_SIDE);
  localparam int WAIT_BITS = $clog2(CENTRES + 1);
  logic [WAIT_BITS-1:0] waiting;  // centres
  wire pushes, pushed_half, pushed_ends, open;  // a centre joins those that wait; there is room for it
  wire [LINE_BITS-1:0] pushed_line;
  wire [PLACE_BITS-1:0] pushed_place;
  wire later_there;  // there are centres of this event that do not wait yet, or behind those of the event before
  wire [ROW_BITS-1:0] later_row;  // the oldest of them
  // A row may be written over what lies in its place if no window that waits needs that.
  logic [ROW_BITS-1:0] alone_row;  // of the last one that found no other waiting: the oldest, until it is in the register
  logic alone_half;
  wire queued = waiting != '0 && (head_there ? head_half : alone_half) == half;
  wire [ROW_BITS-1:0] oldest = !queued ? later_row : head_there ? head_row : alone_row;
  wire room = !begun || !(queued || later_there) || DOWN_BITS'(oldest) + DOWN_BITS'(BELOW + KERNEL_HEIGHT) >= DOWN_BITS'(in_row);
  assign in_ready = !sweeps && open && ended != 2'd2 && (room || in_ends);
  wire takes = in_valid && in_ready;

  // --- centres that wait
  localparam int CENTRE_BITS = 2 + LINE_BITS + PLACE_BITS;
  wire places_left = waiting != WAIT_BITS'(CENTRES);
  stream_queue #(.BITS(CENTRE_BITS), .PLACES(CENTRES), .IS_BLOCK(CENTRES > 128)) centres (
      .clk(clk), .rst_n(rst_n), .in_valid(pushes), .in_word({pushed_half, pushed_ends, pushed_line, pushed_place}),
      .out_valid(head_there), .out_ready(head_taken), .out_word({head_half, head_ends, head_line, head_place})
  );
  generate
    if (STRIDE_DOWN == 1 && STRIDE_SIDE == 1) begin : each_pixel
      assign open = places_left;
      assign pushes = takes;
      assign {pushed_half, pushed_ends, pushed_line, pushed_place} = {half, in_ends, in_row, in_column};
      assign later_there = waiting != '0;
      assign later_row = first_row;
    end else begin : each_cell
      // The cells of a row are known when a pixel of a later row of cells comes; they join one by one then.
      wire [LINE_BITS-1:0] in_line;
      wire [PLACE_BITS-1:0] in_place;
      quotient #(.VALUES(HEIGHT), .BITS(ROW_BITS), .BY(STRIDE_DOWN), .QUOTIENT_BITS(LINE_BITS)) line_of_row (
          .value(in_row), .whole(in_line)
      );
      quotient #(.VALUES(WIDTH), .BITS(COLUMN_BITS), .BY(STRIDE_SIDE), .QUOTIENT_BITS(PLACE_BITS)) place_of_column (
          .value(in_column), .whole(in_place)
      );
      logic [GRID_WIDTH-1:0] some, given, here;  // cells of this row that have a pixel; of the row that joins
      logic [LINE_BITS-1:0] line, given_line;
      logic given_ends, given_half;
      wire turns = in_ends || (some != '0 && in_line != line);
      wire giving = given != '0 || given_ends;
      // The pixel that shows that a row of cells is done with need not be let in for it.
      wire turned = turns && !giving && (takes || (in_valid && !in_ends));
      always_comb for (int x = 0; x < GRID_WIDTH; x++) here[x] = !in_ends && in_place == PLACE_BITS'(x);
      wire [GRID_WIDTH-1:0] first = given & (~given + 1'b1);
      bit_index #(.SIZE(GRID_WIDTH), .INDEX_BITS(PLACE_BITS)) find_cell (.bits(first), .index(pushed_place));
      assign open = !(turns && giving);
      assign pushes = giving && places_left;
      assign {pushed_half, pushed_ends, pushed_line} = {given_half, given == '0, given_line};
      wire given_here = giving && given_half == half;
      wire [LINE_BITS-1:0] later_line = given_here ? given_line : line;
      assign later_there = given_here || some != '0;
      assign later_row = ROW_BITS'(later_line * STRIDE_DOWN);
      wire unused = &{1'b0, first_row};
      always_ff @(posedge clk)
        if (!rst_n) begin
          some <= '0;
          given <= '0;
          given_ends <= 1'b0;
        end else begin
          if (takes || turned) some <= (takes ? here : '0) | (turned ? '0 : some);
          if (turned) begin
            given <= some;
            given_ends <= in_ends;
          end else if (pushes) begin
            given <= given & ~first;
            if (given == '0) given_ends <= 1'b0;
          end
        end
      always_ff @(posedge clk) begin
        if (takes) line <= in_line;
        if (turned) {given_line, given_half} <= {line, half};
      end
    end
  endgenerate

  // --- is the oldest window complete? Its event has ended, or a pixel beyond it has come or waits to come in.
  wire [DOWN_BITS-1:0] end_row = DOWN_BITS'(head_row) + DOWN_BITS'(BELOW);
  wire [SIDE_BITS-1:0] end_column = SIDE_BITS'(head_column) + SIDE_BITS'(AFTER);
  wire by_last = DOWN_BITS'(last_row) > end_row
      || (DOWN_BITS'(last_row) == end_row && SIDE_BITS'(last_column) >= end_column);
  wire by_next = in_valid && (in_ends || DOWN_BITS'(in_row) > end_row);
  assign head_taken = (ended != '0 || by_last || by_next) && free && !sweeps;
  wire goes = head_there && head_taken;
  wire event_done = goes && head_ends;
  assign sent = goes;

  // --- the sweep: both halves at the same place, one after the other
  localparam int OFFSET_BITS = ADDRESS_BITS - 1;
  localparam int SWEEP = OFFSET_BITS > 5 ? 1 << (OFFSET_BITS - 5) : 1;  // all of it in half of the generations
  logic [ADDRESS_BITS:0] left;  // words to wipe
  logic [ADDRESS_BITS-1:0] swept;
  logic [OFFSET_BITS-1:0] place;
  assign sweeps = left != '0;

  always_ff @(posedge clk)
    if (!rst_n) begin
      half <= 1'b0;
      begun <= 1'b0;
      generation <= '0;
      ended <= '0;
      waiting <= '0;
      left <= (ADDRESS_BITS + 1)'(1 << ADDRESS_BITS);
      swept <= '0;
      place <= '0;
    end else begin
      if (takes) begin
        begun <= !in_ends;
        if (in_ends) half <= !half;
        if (in_ends && half) generation <= generation + 1'b1;
      end
      if (takes && in_ends && !event_done) ended <= ended + 1'b1;
      if (event_done && !(takes && in_ends)) ended <= ended - 1'b1;
      if (pushes && !goes) waiting <= waiting + 1'b1;
      if (goes && !pushes) waiting <= waiting - 1'b1;
      if (event_done) begin
        left <= (ADDRESS_BITS + 1)'(SWEEP);
        swept <= {head_half, place};
        if (head_half) place <= place + OFFSET_BITS'(SWEEP);
      end else if (sweeps) begin
        left <= left - 1'b1;
        swept <= swept + 1'b1;
      end
    end
  always_ff @(posedge clk)
    if (takes) begin
      if (!begun) first_row <= in_row;
      last_row <= in_row;
      last_column <= in_column;
    end
  always_ff @(posedge clk)
    if (pushes && (waiting == '0 || (waiting == WAIT_BITS'(1) && goes))) begin
      alone_half <= pushed_half;
      alone_row <= ROW_BITS'(pushed_line * STRIDE_DOWN);
    end

  // --- writing
  wire [SLOT_BITS-1:0] in_slot, head_slot;  // row modulo ROWS
  wire [GROUP_BITS-1:0] in_group, head_group;
  wire [ACROSS_BITS-1:0] in_across, head_across;  // column modulo KERNEL_WIDTH
  remainder #(.VALUES(HEIGHT), .BITS(ROW_BITS), .BY(ROWS), .REMAINDER_BITS(SLOT_BITS)) slot_of_row (
      .value(in_row), .rest(in_slot)
  );
  remainder #(.VALUES(HEIGHT), .BITS(ROW_BITS), .BY(ROWS), .REMAINDER_BITS(SLOT_BITS)) slot_of_head (
      .value(head_row), .rest(head_slot)
  );
  quotient #(.VALUES(WIDTH), .BITS(COLUMN_BITS), .BY(KERNEL_WIDTH), .QUOTIENT_BITS(GROUP_BITS)) group_of_column (
      .value(in_column), .whole(in_group)
  );
  quotient #(.VALUES(WIDTH), .BITS(COLUMN_BITS), .BY(KERNEL_WIDTH), .QUOTIENT_BITS(GROUP_BITS)) group_of_head (
      .value(head_column), .whole(head_group)
  );
  remainder #(.VALUES(WIDTH), .BITS(COLUMN_BITS), .BY(KERNEL_WIDTH), .REMAINDER_BITS(ACROSS_BITS)) across_in_column (
      .value(in_column), .rest(in_across)
  );
  remainder #(.VALUES(WIDTH), .BITS(COLUMN_BITS), .BY(KERNEL_WIDTH), .REMAINDER_BITS(ACROSS_BITS)) across_in_head (
      .value(head_column), .rest(head_across)
  );

  logic [AREA-1:0] writes, written;
  logic [ADDRESS_BITS-1:0] write_at;
  logic [TAG_BITS+BITS-1:0] write_word;
  logic in_upper;
  always_comb begin
    written = '0;
    in_upper = 1'b0;
    for (int slot = 0; slot < ROWS; slot++)
      if (in_slot == SLOT_BITS'(slot)) begin
        in_upper |= slot >= KERNEL_HEIGHT;
        for (int j = 0; j < KERNEL_WIDTH; j++)
          written[slot%KERNEL_HEIGHT*KERNEL_WIDTH+j] |= in_across == ACROSS_BITS'(j);
      end
  end
  always_ff @(posedge clk) begin
    writes <= {AREA{rst_n}} & ({AREA{sweeps}} | (written & {AREA{takes && !in_ends}}));
    write_at <= sweeps ? swept : {half, in_upper, in_group};
    write_word <= sweeps ? '0 : {1'b1, generation, in_row, in_features};
  end

  // --- reading, clock 1: for each row of memories the row that it has in this window, for each column the column
  logic [KERNEL_HEIGHT*ROW_BITS-1:0] wanted, wanted_1, wanted_2;
  logic [KERNEL_HEIGHT-1:0] upper, in_image, in_image_1, in_image_2;
  logic [KERNEL_WIDTH*GROUP_BITS-1:0] group;
  logic [KERNEL_WIDTH-1:0] in_line, in_line_1, in_line_2;
  // memories that lie before the first row and before the first column of the window
  logic [DOWN_STEPS:0] down, down_1, down_2;
  logic [SIDE_STEPS:0] side, side_1, side_2;
  always_comb begin
    logic signed [DOWN_BITS-1:0] row;
    logic signed [SIDE_BITS-1:0] column;
    down = '0;
    for (int slot = 0; slot < ROWS; slot++)
      if (head_slot == SLOT_BITS'(slot)) down |= (DOWN_STEPS + 1)'((slot + ROWS - ABOVE) % KERNEL_HEIGHT);
    side = '0;
    for (int across = 0; across < KERNEL_WIDTH; across++)
      if (head_across == ACROSS_BITS'(across))
        side |= (SIDE_STEPS + 1)'((across + KERNEL_WIDTH - BEFORE) % KERNEL_WIDTH);
    for (int i = 0; i < KERNEL_HEIGHT; i++) begin
      row = '0;
      upper[i] = 1'b0;
      for (int slot = 0; slot < ROWS; slot++)
        for (int d = -ABOVE; d <= BELOW; d++)
          if ((slot + d + ROWS) % KERNEL_HEIGHT == i && head_slot == SLOT_BITS'(slot)) begin
            row = $signed(DOWN_BITS'(head_row)) + DOWN_BITS'(d);
            upper[i] = (slot + d + ROWS) % ROWS >= KERNEL_HEIGHT;
          end
      wanted[i*ROW_BITS+:ROW_BITS] = ROW_BITS'(row);
      in_image[i] = row >= 0 && row < DOWN_BITS'(HEIGHT);
    end
    for (int j = 0; j < KERNEL_WIDTH; j++) begin
      column = '0;
      group[j*GROUP_BITS+:GROUP_BITS] = head_group;
      for (int across = 0; across < KERNEL_WIDTH; across++)
        for (int d = -BEFORE; d <= AFTER; d++)
          if ((across + d + KERNEL_WIDTH) % KERNEL_WIDTH == j && head_across == ACROSS_BITS'(across)) begin
            column = $signed(SIDE_BITS'(head_column)) + SIDE_BITS'(d);
            if (across + d < 0) group[j*GROUP_BITS+:GROUP_BITS] = head_group - 1'b1;
            if (across + d >= KERNEL_WIDTH) group[j*GROUP_BITS+:GROUP_BITS] = head_group + 1'b1;
          end
      in_line[j] = column >= 0 && column < SIDE_BITS'(WIDTH);
    end
  end

  logic valid_1, valid_2, ends_1, ends_2;
  logic [GENERATION_BITS-1:0] head_generation, generation_1, generation_2;
  logic [LINE_BITS-1:0] line_1, line_2;
  logic [PLACE_BITS-1:0] place_1, place_2;
  logic [AREA*ADDRESS_BITS-1:0] read_at;
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      valid_1 <= 1'b0;
      valid_2 <= 1'b0;
      out_valid <= 1'b0;
      head_generation <= '0;
    end else begin
      valid_1 <= goes;
      valid_2 <= valid_1;
      out_valid <= valid_2;
      if (event_done && head_half) head_generation <= head_generation + 1'b1;
    end
    {ends_1, line_1, place_1, generation_1} <= {head_ends, head_line, head_place, head_generation};
    {ends_2, line_2, place_2, generation_2} <= {ends_1, line_1, place_1, generation_1};
    {wanted_1, in_image_1, in_line_1, down_1, side_1} <= {wanted, in_image, in_line, down, side};
    {wanted_2, in_image_2, in_line_2, down_2, side_2} <= {wanted_1, in_image_1, in_line_1, down_1, side_1};
    for (int i = 0; i < KERNEL_HEIGHT; i++)
      for (int j = 0; j < KERNEL_WIDTH; j++)
        read_at[(i*KERNEL_WIDTH+j)*ADDRESS_BITS+:ADDRESS_BITS] <=
            {head_half, upper[i], group[j*GROUP_BITS+:GROUP_BITS]};
  end

  // --- clock 2: the memories
  wire [AREA*(TAG_BITS+BITS)-1:0] read;
  genvar bank;
  generate
    for (bank = 0; bank < AREA; bank++) begin : banks
      stream_bank #(.BITS(TAG_BITS + BITS), .ADDRESS_BITS(ADDRESS_BITS), .IS_BLOCK(IS_BLOCK)) memory (
          .clk(clk), .writes(writes[bank]), .write_at(write_at), .write_word(write_word),
          .read_at(read_at[bank*ADDRESS_BITS+:ADDRESS_BITS]),
          .read_word(read[bank*(TAG_BITS+BITS)+:TAG_BITS+BITS])
      );
    end
  endgenerate

  // --- clock 3: what counts, turned so that the window begins with its first row and column
  // (by one, by two, by four: two such steps are a LUT a bit). Whether a word counts is turned with it.
  localparam int VALUE_BITS = BITS + 1;
  localparam int LINE = KERNEL_WIDTH * VALUE_BITS;
  logic [AREA*VALUE_BITS-1:0] turned, moved;
  logic [AREA*BITS-1:0] window;
  always_comb begin
    logic [TAG_BITS-1:0] tag;
    logic [BITS-1:0] value;
    logic counts;
    for (int i = 0; i < KERNEL_HEIGHT; i++)
      for (int j = 0; j < KERNEL_WIDTH; j++) begin
        {tag, value} = read[(i*KERNEL_WIDTH+j)*(TAG_BITS+BITS)+:TAG_BITS+BITS];
        counts = tag == {1'b1, generation_2, wanted_2[i*ROW_BITS+:ROW_BITS]} && in_image_2[i] && in_line_2[j];
        turned[i*LINE+j*VALUE_BITS+:VALUE_BITS] = {counts, value};
      end
    moved = '0;
    for (int step = 0; step < DOWN_STEPS; step++) begin
      for (int i = 0; i < KERNEL_HEIGHT; i++)
        moved[i*LINE+:LINE] = turned[(i+(1<<step))%KERNEL_HEIGHT*LINE+:LINE];
      if (down_2[step]) turned = moved;
    end
    for (int step = 0; step < SIDE_STEPS; step++) begin
      for (int i = 0; i < KERNEL_HEIGHT; i++)
        for (int j = 0; j < KERNEL_WIDTH; j++)
          moved[i*LINE+j*VALUE_BITS+:VALUE_BITS] = turned[i*LINE+(j+(1<<step))%KERNEL_WIDTH*VALUE_BITS+:VALUE_BITS];
      if (side_2[step]) turned = moved;
    end
    for (int k = 0; k < AREA; k++) begin
      {counts, value} = turned[k*VALUE_BITS+:VALUE_BITS];
      window[k*BITS+:BITS] = counts ? value : '0;
    end
  end
  wire unused_turns = &{1'b0, down_2[DOWN_STEPS], side_2[SIDE_STEPS]};
  always_ff @(posedge clk) begin
    out_window <= window;
    {out_ends, out_row, out_column} <= {ends_2, line_2, place_2};
  end
endmodule
