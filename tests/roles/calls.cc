// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/roles/calls.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <chrono>

#include "auspex/keyd/v1/keyd.pb.h"
#include "auspex/netd/v1/netd.pb.h"
#include "auspex/runnerd/v1/runnerd.pb.h"
#include "auspex/stated/v1/stated.pb.h"

namespace auspex::roles {
namespace {

// Waits for the one operation in flight; false: it failed.
bool Next(grpc::CompletionQueue& queue) {
  void* tag = nullptr;
  bool ok = false;
  return queue.Next(&tag, &ok) && ok;
}

}  // namespace

std::vector<Method> AllMethods() {
  std::vector<Method> methods;
  for (const google::protobuf::FileDescriptor* file :
       {keyd::v1::KeyStatus::descriptor()->file(), stated::v1::Status::descriptor()->file(),
        netd::v1::ConnectionStatus::descriptor()->file(),
        runnerd::v1::Layer::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        const auto* method = file->service(s)->method(m);
        methods.push_back(
            {file->service(s)->full_name(), method->name(), method->server_streaming()});
      }
    }
  }
  return methods;
}

Outcome Call(grpc::Channel* channel, const Method& method, const std::string& request,
             double seconds) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(static_cast<int>(seconds * 1000)));
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(std::shared_ptr<grpc::ChannelInterface>(channel, [](auto*) {}));
  const auto call = stub.PrepareCall(&context, method.path(), &queue);
  Outcome outcome;
  call->StartCall(nullptr);
  if (Next(queue)) {
    const grpc::Slice slice(request);
    call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
    // A refused call may be over before it is written: its status tells.
    (void)Next(queue);
    grpc::ByteBuffer answer;
    call->Read(&answer, nullptr);
    if (Next(queue)) {
      outcome.answered = true;
      std::vector<grpc::Slice> slices;
      (void)answer.Dump(&slices);
      for (const grpc::Slice& part : slices) {
        outcome.first_answer.append(reinterpret_cast<const char*>(part.begin()), part.size());
      }
      if (method.streams_answers) context.TryCancel();
    }
  }
  grpc::Status status;
  call->Finish(&status, nullptr);
  (void)Next(queue);
  outcome.code = status.error_code();
  outcome.message = status.error_message();
  queue.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) {
  }
  return outcome;
}

}  // namespace auspex::roles
