// Whether two bits or more are set: neighbours are joined in a tree of 'one' and 'two or more'.
module at_least_two #(
    parameter int SIZE = 1
) (
    input  logic [SIZE-1:0] bits,
    output logic found
);
  localparam int LEVELS = SIZE > 1 ? $clog2(SIZE) : 0;
  localparam int LEAVES = 1 << LEVELS;
  // A heap: node n has the nodes 2n and 2n + 1 below it, the leaves are at the end.
  logic [2*LEAVES-1:0] some, more;
  always_comb begin
    some = '0;
    more = '0;
    for (int i = 0; i < SIZE; i++) some[LEAVES+i] = bits[i];
    for (int n = LEAVES - 1; n > 0; n--) begin
      some[n] = some[2*n] | some[2*n+1];
      more[n] = more[2*n] | more[2*n+1] | (some[2*n] & some[2*n+1]);
    end
  end
  assign found = more[1];
endmodule
