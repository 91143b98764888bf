// P6's client: HTTPS requests each on a connection of its own, to names of its own.
//
//   new_names ADDRESS PORT FIRST COUNT PARALLEL UPSTREAM-PORT < TOKEN
//
// Asks n<FIRST>.names.example.test and the COUNT - 1 after it, PARALLEL at a time, through
// ADDRESS:PORT, with a bearer token. Prints one JSON object: connections a second, answers other
// than 200, and the time from the start of a connection to its first byte, in milliseconds.
#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fmt/format.h"

namespace exeat::bench {
namespace {

// curl's two handle types are one and the same to the compiler.
struct EasyEnd {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct MultiEnd {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
struct ListEnd {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, ListEnd>;

std::size_t Discard(char*, std::size_t size, std::size_t count, void*) { return size * count; }

struct Plan {
  std::string address, port, token, upstream_port;
  int first = 0, count = 0, parallel = 1;
};

class Client {
 public:
  explicit Client(Plan plan)
      : plan_(std::move(plan)),
        multi_(curl_multi_init()),
        route_(
            curl_slist_append(nullptr, fmt::format("::{}:{}", plan_.address, plan_.port).c_str())),
        headers_(curl_slist_append(nullptr, ("authorization: Bearer " + plan_.token).c_str())) {}

  // False when curl itself failed.
  bool Run() {
    for (int i = 0; i < plan_.parallel && next_ < plan_.count; ++i) Begin();
    while (!open_.empty()) {
      int running = 0;
      if (curl_multi_perform(multi_.get(), &running) != CURLM_OK) return false;
      TakeFinished();
      if (!open_.empty() && curl_multi_poll(multi_.get(), nullptr, 0, 1000, nullptr) != CURLM_OK) {
        return false;
      }
    }
    return true;
  }
  int failed() const { return failed_; }
  std::vector<double> first_bytes_ms;

 private:
  void Begin() {
    std::unique_ptr<CURL, EasyEnd> easy(curl_easy_init());
    const std::string url = fmt::format("https://n{}.names.example.test:{}/v1/items",
                                        plan_.first + next_++, plan_.upstream_port);
    CURL* handle = easy.get();
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_CONNECT_TO, route_.get());
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers_.get());
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(handle, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(handle, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(handle, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    // The client's own cost in both arms alike: what is measured is the server's side.
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, Discard);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, 20'000L);
    curl_multi_add_handle(multi_.get(), handle);
    open_.emplace(handle, std::move(easy));
  }

  void TakeFinished() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      CURL* handle = message->easy_handle;
      long status = 0;
      double first_byte = 0;
      curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
      curl_easy_getinfo(handle, CURLINFO_STARTTRANSFER_TIME, &first_byte);
      if (message->data.result != CURLE_OK || status != 200) {
        if (failed_++ == 0) {
          fmt::print(stderr, "{}: status {}\n", curl_easy_strerror(message->data.result), status);
        }
      }
      first_bytes_ms.push_back(first_byte * 1000);
      curl_multi_remove_handle(multi_.get(), handle);
      open_.erase(handle);
      if (next_ < plan_.count) Begin();
    }
  }

  const Plan plan_;
  std::unique_ptr<CURLM, MultiEnd> multi_;
  const List route_;
  const List headers_;
  std::map<CURL*, std::unique_ptr<CURL, EasyEnd>> open_;
  int next_ = 0;
  int failed_ = 0;
};

int Run(Plan plan) {
  const int count = plan.count;
  Client client(std::move(plan));
  const auto started = std::chrono::steady_clock::now();
  if (!client.Run()) return 1;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  std::vector<double>& times = client.first_bytes_ms;
  std::sort(times.begin(), times.end());
  const auto at = [&](double quantile) {
    return times.at(static_cast<std::size_t>(quantile * static_cast<double>(times.size() - 1)));
  };
  fmt::print("{{\"rate\":{:.1f},\"failed\":{},\"p50_ms\":{:.3f},\"p99_ms\":{:.3f}}}\n",
             count / took.count(), client.failed(), at(0.5), at(0.99));
  return 0;
}

}  // namespace
}  // namespace exeat::bench

int main(int argc, char** argv) {
  if (argc < 7 || std::atoi(argv[4]) < 1) {
    std::fprintf(stderr, "usage: %s ADDRESS PORT FIRST COUNT PARALLEL UPSTREAM-PORT < TOKEN\n",
                 argv[0]);
    return 2;
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  exeat::bench::Plan plan;
  plan.address = argv[1];
  plan.port = argv[2];
  plan.first = std::atoi(argv[3]);
  plan.count = std::atoi(argv[4]);
  plan.parallel = std::atoi(argv[5]);
  plan.upstream_port = argv[6];
  std::getline(std::cin, plan.token);
  return exeat::bench::Run(std::move(plan));
}
