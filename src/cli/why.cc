// exeat why: what the edge would decide, and which rule says so.
#include <memory>
#include <ostream>

#include "cli/commands.h"
#include "cli/edge_client.h"

namespace exeat::cli {
namespace {

struct Options {
  std::string sid;
  std::string method;
  std::string url;
};

int Why(Context& context, const Options& options) {
  base::StatusOr<EdgeClient> edge = EdgeClient::Connect(context);
  if (!edge.ok()) return Fail(context, edge.status());
  ops::v1::WhyRequest request;
  request.set_sid(options.sid);
  request.set_method(options.method);
  request.set_url(options.url);
  ops::v1::WhyReply reply;
  const base::Status explained = edge->Call(&Stub::Why, request, &reply);
  if (!explained.ok()) return Fail(context, explained);
  if (context.json) {
    context.out << reply.json() << "\n";
  } else {
    context.out << reply.text();
  }
  return kDone;
}

}  // namespace

void AddWhy(CLI::App& root, Context& context) {
  const auto options = std::make_shared<Options>();
  CLI::App& command =
      AddCommand(root, context,
                 {"why", "Explain, without sending anything, what the edge would decide",
                  "exeat why --sid 5k2mz7... POST https://api.example/v1/messages"},
                 [&context, options] { return Why(context, *options); });
  command.add_option("--sid", options->sid, "Ask for this session (else: without a token)")
      ->type_name("SID");
  command.add_option("method", options->method, "The method")->type_name("METHOD")->required();
  command.add_option("url", options->url, "The URL")->type_name("URL")->required();
}

}  // namespace exeat::cli
