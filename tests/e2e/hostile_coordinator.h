// SPDX-License-Identifier: AGPL-3.0-only
// HostileCoordinator: an HTTP server on loopback that plays a coordinator honestly until it is told
// to answer a kind of request in its own way, octet by octet. It notes every request that a worker
// makes. One thread per connection; public methods are safe from any thread.
#ifndef AUSPEX_TESTS_E2E_HOSTILE_COORDINATOR_H_
#define AUSPEX_TESTS_E2E_HOSTILE_COORDINATOR_H_

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace auspex::e2e {

class HostileCoordinator {
 public:
  struct Request {
    std::string method, target, body;
    std::map<std::string, std::string> headers;  // names in lower case
  };

  // What an answer is written through.
  class Line {
   public:
    Line(int fd, const std::atomic<bool>& stop) : fd_(fd), stop_(stop) {}
    // False when the worker has closed the connection or the server stops.
    bool Send(const std::string& octets);
    // A whole answer with Content-Length.
    bool Answer(int status, const std::string& body, const std::string& more_headers = "");
    // Waits; false when the worker has closed the connection or the server stops.
    bool Pause(int ms);

   private:
    int fd_;
    const std::atomic<bool>& stop_;
  };
  using Handler = std::function<void(const Request&, Line&)>;

  HostileCoordinator();
  ~HostileCoordinator();
  int port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  // Requests of `kind` ("enroll", "heartbeat", "poll", "result", "refuse", "receipt", "package")
  // get this answer, `times` times, and the honest one again after that. The connection is closed
  // after each such answer.
  void Attack(const std::string& kind, Handler handler, int times = 1);
  // How many attacks of that kind are still to be made.
  int AttacksLeft(const std::string& kind) const;

  // The next polls hand out this unit, `times` times over with the same assignment id.
  void Offer(const std::string& unit_id, const nlohmann::json& payload = nlohmann::json::object(),
             int times = 1, const std::string& manifest_sha256 = std::string(64, 'a'));
  // The honest answer to a poll with that unit. Each manifest is of an experiment of its own.
  static nlohmann::json Assignment(const std::string& unit_id,
                                   const nlohmann::json& payload = nlohmann::json::object(),
                                   const std::string& manifest_sha256 = std::string(64, 'a'));

  int Count(const std::string& kind) const;
  // Bodies of results that were accepted, by unit.
  std::map<std::string, std::vector<std::string>> Results() const;
  std::map<std::string, std::vector<std::string>> Refusals() const;
  // Requests for anything that a worker has no business with here.
  std::vector<std::string> Unexpected() const;

 private:
  void Serve(int fd);
  bool ReadRequest(int fd, std::string& buffer, Request& request);
  // One word for what is asked for; "unexpected" for anything else.
  std::string KindOf(const Request& request) const;
  void AnswerHonestly(const std::string& kind, const Request& request, Line& line);

  int listen_fd_ = -1, port_ = 0;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  std::map<std::string, std::pair<Handler, int>> attacks_;
  std::vector<nlohmann::json> offers_;
  std::map<std::string, int> counts_;
  std::map<std::string, std::vector<std::string>> results_, refusals_;
  std::vector<std::string> unexpected_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace auspex::e2e

#endif  // AUSPEX_TESTS_E2E_HOSTILE_COORDINATOR_H_
