#include <multifork/channel/travellers.hpp>

#include "channel/pipe_link.hpp"

#include <utility>

namespace multifork::detail {
namespace {

thread_local Travellers* travellers = nullptr;

} // namespace

Travellers::Travellers() noexcept : outer_(std::exchange(travellers, this)) {}

Travellers::~Travellers() {
    travellers = outer_;
    for (std::size_t i = arrived_; i < references_.size(); ++i)
        PipeLink::cancel(references_[i]);
}

void Travellers::note(const std::string& reference) {
    if (travellers != nullptr)
        travellers->references_.push_back(reference);
}

void Travellers::cancel(const std::vector<std::string>& references) noexcept {
    for (const std::string& reference : references)
        PipeLink::cancel(reference);
}

std::vector<std::string> Travellers::take() noexcept {
    arrived_ = 0;
    return std::exchange(references_, {});
}

} // namespace multifork::detail
