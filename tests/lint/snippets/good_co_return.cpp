awaitable<Pair> both() {
    co_return Pair{1, 2};
}
awaitable<Pair> none() {
    co_return Pair();
}
