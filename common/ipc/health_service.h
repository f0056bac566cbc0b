// SPDX-License-Identifier: AGPL-3.0-only
// HealthService: grpc.health.v1.Health/Check of the server as a whole, which serves as long as it answers. gRPC's own brings two
// more threads into the process, which poll every server's connections beside the servers' threads. Safe from any thread.
#ifndef AUSPEX_COMMON_IPC_HEALTH_SERVICE_H_
#define AUSPEX_COMMON_IPC_HEALTH_SERVICE_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/rpc_service_method.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/method_handler.h>

namespace auspex {

class HealthService final : public grpc::Service {
 public:
  // `in_loop`: a CallLoop answers, through RequestCheck and Check; otherwise the server's own threads do.
  explicit HealthService(bool in_loop) {
    using Handler =
        grpc::internal::RpcMethodHandler<HealthService, grpc::ByteBuffer, grpc::ByteBuffer>;
    const auto check = [](HealthService*, grpc::ServerContext*, const grpc::ByteBuffer* request,
                          grpc::ByteBuffer* response) { return Check(*request, *response); };
    AddMethod(new grpc::internal::RpcServiceMethod("/grpc.health.v1.Health/Check",
                                                   grpc::internal::RpcMethod::NORMAL_RPC,
                                                   new Handler(check, this)));
    if (in_loop) MarkMethodAsync(0);
  }

  static grpc::Status Check(const grpc::ByteBuffer& request, grpc::ByteBuffer& response) {
    // HealthCheckRequest{string service = 1}; an empty name is the server.
    if (request.Length() != 0)
      return {grpc::StatusCode::NOT_FOUND, "health: of the server as a whole alone"};
    const grpc::Slice serving("\x08\x01", 2);  // HealthCheckResponse{status: SERVING}
    response = grpc::ByteBuffer(&serving, 1);
    return grpc::Status::OK;
  }

  void RequestCheck(grpc::ServerContext* context, grpc::ByteBuffer* request,
                    grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>* response,
                    grpc::CompletionQueue* call_queue, grpc::ServerCompletionQueue* queue,
                    void* tag) {
    RequestAsyncUnary(0, context, request, response, call_queue, queue, tag);
  }
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_IPC_HEALTH_SERVICE_H_
