// Testbench of @top@: runs every event of data/inputs.dat and compares the results with data/outputs.dat,
// bit for bit. Exit status 1 if one output differs or the data cannot be read.
//
// Usage: testbench [DATA_DIRECTORY]   (default: tb/data)
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "@top@.h"
#include "sparsepix/types.h"

// Next line of raw integers as a stream; comment lines begin with '#'.
static bool next_event(std::ifstream &file, std::istringstream &event) {
  std::string line;
  while (std::getline(file, line)) {
    if (!line.empty() && line[0] != '#') {
      event.clear();
      event.str(line);
      return true;
    }
  }
  return false;
}

int main(int argc, char **argv) {
  const std::string directory = argc > 1 ? argv[1] : "tb/data";
  std::ifstream inputs((directory + "/inputs.dat").c_str());
  std::ifstream outputs((directory + "/outputs.dat").c_str());
  if (!inputs || !outputs) {
    std::cerr << "testbench: cannot read inputs.dat and outputs.dat in " << directory << std::endl;
    return 1;
  }

  static @input_type@ input@input_dims@;
  static @output_type@ output@output_dims@;
  @input_type@ *const input_values = &input@input_first@;
  @output_type@ *const output_values = &output@output_first@;
  long long raw = 0;
  long events = 0;
  long mismatches = 0;
  std::istringstream input_event, output_event;
  while (next_event(inputs, input_event)) {
    if (!next_event(outputs, output_event)) {
      std::cerr << "testbench: outputs.dat has fewer events than inputs.dat" << std::endl;
      return 1;
    }
    for (int i = 0; i < @input_size@; i++) {
      if (!(input_event >> raw)) {
        std::cerr << "testbench: event " << events << " of inputs.dat needs @input_size@ integers" << std::endl;
        return 1;
      }
      input_values[i] = sparsepix::from_raw<@input_type@>(raw);
    }
    @top@(input, output);
    for (int i = 0; i < @output_size@; i++) {
      if (!(output_event >> raw)) {
        std::cerr << "testbench: event " << events << " of outputs.dat needs @output_size@ integers" << std::endl;
        return 1;
      }
      const long long found = sparsepix::to_raw(output_values[i]);
      if (found != raw) {
        mismatches++;
        if (mismatches <= 10) {
          std::cerr << "event " << events << ", output " << i << ": expected " << raw << ", found " << found
                    << std::endl;
        }
      }
    }
    events++;
  }
  if (events == 0 || next_event(outputs, output_event)) {
    std::cerr << "testbench: inputs.dat and outputs.dat must hold the same events, one or more" << std::endl;
    return 1;
  }
  std::printf("csim: %ld events, %ld mismatching outputs\n", events, mismatches);
  return mismatches == 0 ? 0 : 1;
}
