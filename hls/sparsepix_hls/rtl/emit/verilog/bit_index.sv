// The index of the one bit that is set; 0 if none is.
module bit_index #(
    parameter int SIZE = 1,
    parameter int INDEX_BITS = 1
) (
    input  logic [SIZE-1:0] bits,
    output logic [INDEX_BITS-1:0] index
);
  always_comb begin
    index = '0;
    for (int i = 0; i < SIZE; i++) index |= INDEX_BITS'(i) & {INDEX_BITS{bits[i]}};
  end
endmodule
