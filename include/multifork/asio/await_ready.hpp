#pragma once

#include <multifork/asio/watched.hpp>
#include <multifork/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <boost/version.hpp>

#include <sys/types.h>
#include <unistd.h>

#include <exception>
#include <memory>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

#if BOOST_VERSION < 107700
#error "multifork/asio.hpp needs Boost 1.77 or newer: Asio before that cannot cancel one operation"
#endif

/// \file
/// \internal How an Asio operation waits for something of this library.
///
/// Every operation is the same loop, run by the io_context that the coroutine (or other handler)
/// belongs to:
///
///   post | take what there is: done | else wait for the source's descriptor, and again
///
/// What is taken is taken in the very call that completes the operation, and never in the one that
/// began it. So there is no moment at which an operation has taken something and can still be
/// cancelled: whatever cancels it before finds nothing taken, whatever comes after is too late, and
/// of `a || b` only one takes. That holds where handlers do not run at the same time: with one
/// thread in io_context::run(), or in a strand.

namespace multifork::detail {

/// A Source has
///
///   Result                              what the operation gives; std::monostate for nothing
///   std::optional<Result> take()        without waiting; nothing: not there yet
///   void watch(DescriptorSet&)          once: adds what is readable when take() is worth a try
///   void rearm()                        before each further wait
///
/// and may throw from all, which is what the operation throws.
template <class Source>
class AwaitReady {
public:
    using Result = typename Source::Result;

    explicit AwaitReady(Source source) : source_(std::move(source)) {}

    template <class Self>
    void operator()(Self& self, const boost::system::error_code& = {}) {
        namespace asio = boost::asio;
        using Executor = std::decay_t<decltype(self.get_executor())>;
        static_assert(!std::is_same_v<Executor, asio::system_executor>,
                      "this completion token belongs to no io_context: co_await the operation, or "
                      "give boost::asio::bind_executor(io_context, handler)");
        if (begun_by_ == 0) {
            begun_by_ = ::getpid();
            self.reset_cancellation_state(asio::enable_total_cancellation());
            const Executor executor = self.get_executor();
            asio::post(executor, std::move(self));
            return;
        }
        std::exception_ptr error;
        std::optional<Result> result;
        if (begun_by_ != ::getpid()) {
            error = std::make_exception_ptr(
                Error(std::errc::operation_not_permitted,
                      "this operation was begun by the parent of this process, which goes on with "
                      "it; begin one here, in an io_context of this process"));
        } else if (self.cancelled() != asio::cancellation_type::none) {
            error = std::make_exception_ptr(
                boost::system::system_error(asio::error::operation_aborted));
        } else {
            try {
                result = source_->take();
                if (!result)
                    watch(self.get_executor());
            } catch (...) {
                error = std::current_exception();
            }
        }
        if (error == nullptr && !result) {
            // It must not go with `self`, which holds it, before it has begun to wait.
            auto& descriptor = *descriptor_;
            descriptor.async_wait(asio::posix::descriptor_base::wait_read, std::move(self));
            return;
        }
        // What it held goes first: the handler may well end the io_context.
        descriptor_.reset();
        source_.reset();
        if constexpr (std::is_same_v<Result, std::monostate>)
            self.complete(error);
        else
            self.complete(error, result ? std::move(*result) : Result{});
    }

private:
    using Descriptor = boost::asio::posix::stream_descriptor;

    void watch(const boost::asio::any_io_executor& executor) {
        if (descriptor_ != nullptr)
            return source_->rearm();
        // Asio gets no descriptor of anybody else, nor a copy: it makes what it gets non-blocking,
        // for all that share it.
        DescriptorSet set;
        source_->watch(set);
        descriptor_ = std::make_unique<Descriptor>(executor, set.descriptor());
        set.release(); // not before: a constructor that throws has not taken it
    }

    std::optional<Source> source_;
    std::unique_ptr<Descriptor> descriptor_;
    ::pid_t begun_by_ = 0; // a forked child hears of none of the wake-ups, and takes nothing
};

template <class Result>
struct AwaitSignature {
    using type = void(std::exception_ptr, Result);
};
template <>
struct AwaitSignature<std::monostate> {
    using type = void(std::exception_ptr);
};

template <class Source, class Token>
auto await_ready(Source source, Token&& token) {
    using Signature = typename AwaitSignature<typename Source::Result>::type;
    return boost::asio::async_compose<Token, Signature>(AwaitReady<Source>(std::move(source)),
                                                        token);
}

} // namespace multifork::detail
