// SPDX-License-Identifier: AGPL-3.0-only
// CallLoop: answers the unary calls of one RoleServer on one thread, in groups.
//
// A call has two halves. `Begin` checks the request and starts what takes time; the Answer that it returns waits for that and
// gives the call's status. The loop begins every call that has arrived, then answers them in the same order: calls that wait for
// the disk wait for one flush together, and no call is handed from thread to thread.
//
//   CallLoop loop(64);
//   loop.Add(service, &v1::Name::AsyncService::RequestSign,
//            [](const grpc::ServerContext&, const Request&, Response&) -> CallLoop::Answer { ... });
//   ... RoleServer::Start(options, {&service}, &loop) ...
//
// Handlers run on the loop's thread alone; request and response live until the answer was given. An answer must not wait for
// another call. The loop and the service (of gRPC's asynchronous kind) outlive the server, which starts and ends the loop.
#ifndef AUSPEX_COMMON_IPC_CALL_LOOP_H_
#define AUSPEX_COMMON_IPC_CALL_LOOP_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/async_unary_call.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace auspex {

class CallLoop {
 public:
  using Answer = std::function<grpc::Status()>;
  template <typename Request, typename Response>
  using Begin = std::function<Answer(const grpc::ServerContext&, const Request&, Response&)>;

  // At most `slots` calls of each method are under way at once. More of them wait inside gRPC, which the server bounds.
  // `all_begun` runs on the loop's thread between a group's beginnings and its answers.
  explicit CallLoop(
      int slots, std::function<void()> all_begun = [] {})
      : slots_(slots), all_begun_(std::move(all_begun)) {}
  ~CallLoop();
  CallLoop(const CallLoop&) = delete;
  CallLoop& operator=(const CallLoop&) = delete;

  // Serves one method; before the server starts. `request_method` is Request<Method> of the generated service.
  template <typename Request, typename Response, typename Service, typename Base>
  void Add(Service& service,
           void (Base::*request_method)(grpc::ServerContext*, Request*,
                                        grpc::ServerAsyncResponseWriter<Response>*,
                                        grpc::CompletionQueue*, grpc::ServerCompletionQueue*,
                                        void*),
           std::type_identity_t<Begin<Request, Response>> begin) {
    using Place = Slot<Request, Response>;
    const auto await = [this, &service, request_method](typename Place::Live& live, void* tag) {
      (service.*request_method)(&live.context, &live.request, &live.writer, queue_.get(),
                                queue_.get(), tag);
    };
    for (int i = 0; i < slots_; ++i) slots_of_all_.push_back(std::make_unique<Place>(await, begin));
  }

  // RoleServer's: before the server is built, when it runs, and when it was shut down.
  void Prepare(grpc::ServerBuilder& builder) { queue_ = builder.AddCompletionQueue(); }
  void Start();
  void Stop();

 private:
  // Room for one call. gRPC gives its address back twice: when a call has arrived, and when the answer was sent.
  class AnySlot {
   public:
    virtual ~AnySlot() = default;
    virtual void Await() = 0;  // makes room for a new call
    virtual void Begin() = 0;
    virtual void Respond() = 0;
    virtual void Clear() = 0;  // frees what the call held
    bool answered = false;
  };

  template <typename Request, typename Response>
  class Slot final : public AnySlot {
   public:
    // Made anew for each call: a message keeps the memory of the largest one that it held.
    struct Live {
      grpc::ServerContext context;
      Request request;
      Response response;
      grpc::ServerAsyncResponseWriter<Response> writer{&context};
    };
    using AwaitCall = std::function<void(Live&, void* tag)>;

    Slot(AwaitCall await, CallLoop::Begin<Request, Response> begin)
        : await_(std::move(await)), begin_(std::move(begin)) {}
    void Await() override {
      answered = false;
      await_(live_.emplace(), this);
    }
    void Begin() override { answer_ = begin_(live_->context, live_->request, live_->response); }
    void Respond() override {
      answered = true;
      live_->writer.Finish(live_->response, answer_(), this);
      answer_ = nullptr;
    }
    void Clear() override { live_.reset(); }

   private:
    const AwaitCall await_;
    const CallLoop::Begin<Request, Response> begin_;
    std::optional<Live> live_;
    Answer answer_;
  };

  void Run();
  // What gRPC gave back: begins the call that came, adding it to `group`, or makes room for another.
  void Take(AnySlot& slot, bool ok, std::vector<AnySlot*>& group);
  void Reuse(AnySlot& slot);

  const int slots_;
  const std::function<void()> all_begun_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::vector<std::unique_ptr<AnySlot>> slots_of_all_;  // of all methods
  std::mutex mutex_;
  bool stopping_ = false;  // guarded by mutex_: no slot awaits a call on a queue that was shut down
  std::thread thread_;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_IPC_CALL_LOOP_H_
