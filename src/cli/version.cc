// exeat version.
#include <ostream>

#include "cli/commands.h"
#include "cli/render.h"
#include "nlohmann/json.hpp"

namespace exeat::cli {

void AddVersion(CLI::App& root, Context& context) {
  AddCommand(root, context, {"version", "Print the version", "exeat version"}, [&context] {
    if (context.json) {
      context.out << JsonLine({{"version", EXEAT_VERSION}});
    } else {
      context.out << "exeat " << EXEAT_VERSION << "\n";
    }
    return kDone;
  });
}

}  // namespace exeat::cli
