// exeat ca show.
#include <ostream>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/edge_client.h"
#include "cli/find_edge.h"
#include "cli/render.h"
#include "nlohmann/json.hpp"

namespace exeat::cli {
namespace {

// The running edge's own word first: an imported CA stands elsewhere.
base::StatusOr<std::string> Certificate(const Context& context) {
  base::StatusOr<EdgeClient> edge = EdgeClient::Connect(context);
  if (edge.ok()) {
    ops::v1::EdgeStatus status;
    RETURN_IF_ERROR(edge->Call(&Stub::GetStatus, {}, &status));
    return status.ca_pem();
  }
  ASSIGN_OR_RETURN(const std::string state, FindState(context.state, {}));
  base::StatusOr<std::string> stored = base::ReadFile(state + "/ca/ca.crt");
  if (stored.ok()) return stored;
  return edge.status();
}

int Show(Context& context) {
  const base::StatusOr<std::string> pem = Certificate(context);
  if (!pem.ok()) return Fail(context, pem.status());
  if (context.json) {
    context.out << JsonLine({{"certificate", *pem}});
  } else {
    context.out << *pem;
  }
  return kDone;
}

}  // namespace

void AddCa(CLI::App& root, Context& context) {
  CLI::App& group =
      AddGroup(root, {"ca", "The certificate authority that guests trust", "exeat ca show"});
  AddCommand(group, context,
             {"show", "Print its certificate as PEM", "exeat ca show > exeat-ca.pem"},
             [&context] { return Show(context); });
}

}  // namespace exeat::cli
