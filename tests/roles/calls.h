// SPDX-License-Identifier: AGPL-3.0-only
// Calls made by name, without stubs: what a peer that has taken over a process would try on a
// socket. One thread.
#ifndef AUSPEX_TESTS_ROLES_CALLS_H_
#define AUSPEX_TESTS_ROLES_CALLS_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

namespace auspex::roles {

struct Method {
  std::string service;  // "auspex.keyd.v1.RequestSigner"
  std::string name;     // "SignRequest"
  bool streams_answers = false;
  std::string path() const { return "/" + service + "/" + name; }
};

// Every method of the four contracts, from their descriptors.
std::vector<Method> AllMethods();

struct Outcome {
  grpc::StatusCode code = grpc::StatusCode::UNKNOWN;
  std::string message;
  std::string first_answer;  // octets of the first message that came back
  bool answered = false;     // a message came back
};
// Calls `method` with `request` (encoded; empty: an empty message), waits at most `seconds`. A
// stream is ended after its first message.
Outcome Call(grpc::Channel* channel, const Method& method, const std::string& request,
             double seconds);

}  // namespace auspex::roles

#endif  // AUSPEX_TESTS_ROLES_CALLS_H_
