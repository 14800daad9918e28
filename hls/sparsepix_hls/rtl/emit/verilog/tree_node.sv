// Two lists of active pixels joined: those of the first, then those of the second, as many as there is room for.
//
// An entry is there or 0. The first list has j entries where its entry j - 1 is the last one that is there: then slot m
// takes entry m - j of the second. All nodes of a level are this one module, so synthesis may map it once.
module tree_node #(
    parameter int SLOTS_IN = 1,  // of both lists
    parameter int SLOTS = 2,  // of the joined one
    parameter int PIXEL_BITS = 8,
    parameter int INDEX_BITS = 0  // of the entries that come in
) (
    input  logic [SLOTS_IN*(1+PIXEL_BITS+INDEX_BITS)-1:0] first,
    input  logic [SLOTS_IN*(1+PIXEL_BITS+INDEX_BITS)-1:0] second,
    output logic [SLOTS*(2+PIXEL_BITS+INDEX_BITS)-1:0] joined
);
  localparam int ENTRY = 1 + PIXEL_BITS + INDEX_BITS;  // it is there, its index among the pixels of the node, its value
  logic [SLOTS_IN:0] there, begins;
  logic [ENTRY-1:0] from_first, from_second;
  always_comb begin
    for (int m = 0; m < SLOTS_IN; m++) there[m] = first[(m+1)*ENTRY-1];
    there[SLOTS_IN] = 1'b0;
    begins = ~there & {there[SLOTS_IN-1:0], 1'b1};
    for (int m = 0; m < SLOTS; m++) begin
      from_first  = '0;
      from_second = '0;
      for (int i = 0; i < SLOTS_IN; i++) begin
        if (i == m) from_first = first[i*ENTRY+:ENTRY];
        for (int j = 0; j <= SLOTS_IN; j++)
          if (i + j == m) from_second |= second[i*ENTRY+:ENTRY] & {ENTRY{begins[j]}};
      end
      joined[m*(ENTRY+1)+:ENTRY+1] = {
        from_first[ENTRY-1] | from_second[ENTRY-1], from_second[ENTRY-1], from_first[ENTRY-2:0] | from_second[ENTRY-2:0]
      };
    end
  end
endmodule
