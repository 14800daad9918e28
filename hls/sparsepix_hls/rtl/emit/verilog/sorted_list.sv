// A list in the order of its keys, the largest first; a new entry takes its place in a clock, after those of the same
// key. Key 0 is no entry: it is never put in, and places that nothing has come to hold it.
module sorted_list #(
    parameter int SIZE = 1,
    parameter int KEY_BITS = 1,  // the high bits of an entry
    parameter int BITS = 1  // of an entry
) (
    input  logic clk,
    input  logic insert,
    input  logic first,  // of a new list: what is there is forgotten
    input  logic [BITS-1:0] entry,
    output logic [SIZE*BITS-1:0] list  // the first in the low bits
);
  wire [KEY_BITS-1:0] key = entry[BITS-1-:KEY_BITS];
  logic [SIZE:0] after;  // bit i: it comes before place i - 1 of the list, so that i - 1 moves to i
  always_comb begin
    after[0] = 1'b0;
    for (int i = 0; i < SIZE; i++) after[i+1] = key > list[i*BITS+BITS-1-:KEY_BITS];
  end

  always_ff @(posedge clk)
    if (insert)
      if (first) list <= key == '0 ? '0 : (SIZE * BITS)'(entry);
      else begin
        if (after[1]) list[BITS-1:0] <= entry;
        for (int i = 1; i < SIZE; i++) if (after[i+1]) list[i*BITS+:BITS] <= after[i] ? list[(i-1)*BITS+:BITS] : entry;
      end
endmodule
