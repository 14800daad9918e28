// Entry point for software: runs @top@ on raw integers (value = raw * 2^(integer - width)).
// Not part of the firmware.
#include "@top@.cpp" // one file: the ap_fixed headers are read once
#include "sparsepix/types.h"

// inputs: [events]@input_dims@, outputs: [events]@output_dims@, both row-major.
extern "C" void @top@_run(const long long *inputs, long long *outputs, long long events) {
  static @input_type@ input@input_dims@;
  static @output_type@ output@output_dims@;
  @input_type@ *const input_values = &input@input_first@;
  @output_type@ *const output_values = &output@output_first@;
  for (long long event = 0; event < events; event++) {
    for (int i = 0; i < @input_size@; i++) {
      input_values[i] = sparsepix::from_raw<@input_type@>(inputs[event * @input_size@ + i]);
    }
    @top@(input, output);
    for (int i = 0; i < @output_size@; i++) {
      outputs[event * @output_size@ + i] = sparsepix::to_raw(output_values[i]);
    }
  }
}
