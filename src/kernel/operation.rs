//! The bridge to Burn: a native operation becomes a node of its gradient graph.
//!
//! Burn's backend extensions take a fixed number of tensors and no lists. So an operation's inputs travel in twenty slots,
//! and the operation itself as an `Arc<dyn Operation>`.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{AutodiffBackend, Backend, Flex, backend_extension};
use burn::tensor::Tensor;

/// The values of a tensor, row-major, and its shape.
#[derive(Clone, Copy)]
pub(super) struct TensorView<'a> {
    pub values: &'a [f32],
    pub shape: &'a [usize],
}

/// The values of a new tensor, row-major, and its shape.
pub(super) struct Output {
    pub values: Vec<f32>,
    pub shape: Vec<usize>,
}

/// An operation on tensors. Its first output has a gradient; the others are constants to everything that uses them.
pub(super) trait Operation: Debug + Send + Sync + 'static {
    /// Returns the outputs.
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output>;

    /// Replaces the values of the last input with the only output, if the operation can; returns whether it did. Nobody else
    /// uses that input, and `inputs` does not contain it. The memory was just read, so that it is cached.
    fn run_in_place(&self, _inputs: &[TensorView], _last: &mut [f32]) -> bool {
        false
    }

    /// Returns the gradients with respect to the inputs for which `wanted` is true, in order, from the gradient with
    /// respect to the first output.
    fn backward(&self, inputs: &[TensorView], gradient: TensorView, wanted: &[bool]) -> Vec<Output>;
}

/// A tensor, or none.
#[derive(burn::backend::ExtensionType, Clone, Debug)]
pub(super) enum Slot<B: Backend> {
    /// A tensor.
    Full(FloatTensor<B>),
    /// No tensor.
    Empty,
}

macro_rules! slots {
    ($($name:ident)*) => {
        /// The inputs of an operation.
        #[derive(burn::backend::ExtensionType, Clone, Debug)]
        pub(super) struct Slots<B: Backend> {
            $(#[extension_type] $name: Slot<B>,)*
        }

        impl<B: Backend> Slots<B> {
            fn new(tensors: Vec<FloatTensor<B>>) -> Self {
                let mut tensors = tensors.into_iter().map(Slot::Full);
                let slots = Self { $($name: tensors.next().unwrap_or(Slot::Empty),)* };
                assert!(tensors.next().is_none(), "more inputs than slots");
                slots
            }

            fn into_vec(self) -> Vec<FloatTensor<B>> {
                let all = [$(self.$name,)*].into_iter();
                all.filter_map(|slot| match slot { Slot::Full(tensor) => Some(tensor), Slot::Empty => None }).collect()
            }
        }
    };
}
slots!(a b c d e f g h i j k l m n o p q r s t);

type DynOperation = Arc<dyn Operation>;

/// The extension of Burn's backends by native operations.
#[backend_extension(Flex, Autodiff)]
pub(super) trait OperationBackend: Backend {
    /// Runs an operation.
    fn forward(#[extension_type] inputs: Slots<Self>, operation: DynOperation) -> Vec<FloatTensor<Self>>;
    /// Runs the backward pass of an operation.
    fn backward(
        #[extension_type] inputs: Slots<Self>,
        gradient: FloatTensor<Self>,
        operation: DynOperation,
        wanted: Vec<bool>,
    ) -> Vec<FloatTensor<Self>>;
}

/// Runs an operation on the CPU. Returns its first output, of `D` dimensions, and the others.
pub(super) fn apply<const D: usize>(
    operation: impl Operation,
    inputs: Vec<burn::backend::DispatchTensor>,
) -> (Tensor<D>, Vec<Tensor<1>>) {
    let mut outputs =
        <burn::backend::Dispatch as OperationBackend>::forward(Slots::new(inputs), Arc::new(operation)).into_iter();
    let first = Tensor::from_dispatch(outputs.next().expect("an output"));
    (first, outputs.map(Tensor::from_dispatch).collect())
}

mod flex {
    use burn::backend::flex::{FlexTensor, Layout};
    use burn::tensor::{Bytes, DType, Shape};

    use super::{DynOperation, Flex, FloatTensor, OperationBackend, Output, Slots, TensorView};

    fn tensors(slots: Slots<Flex>) -> Vec<(FlexTensor, Vec<usize>)> {
        let shaped = |tensor: FlexTensor| {
            let tensor = if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() };
            let shape = tensor.layout().shape().to_vec();
            (tensor, shape)
        };
        slots.into_vec().into_iter().map(shaped).collect()
    }

    fn view((tensor, shape): &(FlexTensor, Vec<usize>)) -> TensorView<'_> {
        // A slice of a longer vector, such as one of all parameters, does not start at its first value.
        let start = tensor.layout().start_offset();
        let count: usize = shape.iter().product();
        TensorView { values: &tensor.storage::<f32>()[start..start + count], shape }
    }

    fn tensor(Output { values, shape }: Output) -> FlexTensor {
        FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(Shape::from(shape)), DType::F32)
    }

    impl OperationBackend for Flex {
        fn forward(inputs: Slots<Self>, operation: DynOperation) -> Vec<FloatTensor<Self>> {
            let mut inputs = tensors(inputs);
            let (mut last, shape) = inputs.pop().expect("an input");
            let count: usize = shape.iter().product();
            if let Some(values) = last.try_storage_mut::<f32>().filter(|values| values.len() == count) {
                let views: Vec<TensorView> = inputs.iter().map(view).collect();
                if operation.run_in_place(&views, values) {
                    return vec![last];
                }
            }
            inputs.push((last, shape));
            let views: Vec<TensorView> = inputs.iter().map(view).collect();
            operation.forward(&views).into_iter().map(tensor).collect()
        }

        fn backward(
            inputs: Slots<Self>,
            gradient: FloatTensor<Self>,
            operation: DynOperation,
            wanted: Vec<bool>,
        ) -> Vec<FloatTensor<Self>> {
            let inputs = tensors(inputs);
            let gradient = tensors(Slots::new(vec![gradient]));
            let views: Vec<TensorView> = inputs.iter().map(view).collect();
            operation.backward(&views, view(&gradient[0]), &wanted).into_iter().map(tensor).collect()
        }
    }
}

/// The backward step of an operation of `N` inputs.
#[derive(Debug)]
struct BackwardStep;

impl<B: OperationBackend, const N: usize> Backward<B, N> for BackwardStep {
    type State = (Vec<FloatTensor<B>>, DynOperation);

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (inputs, operation) = ops.state;
        let wanted = ops.parents.iter().map(Option::is_some).collect();
        let results = B::backward(Slots::new(inputs), gradient, operation, wanted);
        for (parent, gradient) in ops.parents.into_iter().flatten().zip(results) {
            gradients.register::<B>(parent.id, gradient);
        }
    }
}

impl<B: OperationBackend, C: CheckpointStrategy> OperationBackend for Autodiff<B, C> {
    fn forward(inputs: Slots<Self>, operation: DynOperation) -> Vec<FloatTensor<Self>> {
        let (inputs, guards): (Vec<_>, Vec<_>) =
            inputs.into_vec().into_iter().map(|tensor| tensor.into_parts()).unzip();
        let mut outputs = B::forward(Slots::new(inputs.clone()), operation.clone()).into_iter();
        let first = outputs.next().expect("an output");
        let rest = outputs.map(<Self as AutodiffBackend>::from_inner);
        let state = (inputs, operation);
        macro_rules! track {
            ($($n:literal)*) => {
                match guards.len() {
                    $($n => track::<B, C, $n>(guards, state, first),)*
                    more => unreachable!("{more} inputs"),
                }
            };
        }
        let first = track!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20);
        std::iter::once(first).chain(rest).collect()
    }

    fn backward(_: Slots<Self>, _: FloatTensor<Self>, _: DynOperation, _: Vec<bool>) -> Vec<FloatTensor<Self>> {
        unreachable!("native operations have no second derivatives")
    }
}

/// Puts an operation's output into the gradient graph.
fn track<B: OperationBackend, C: CheckpointStrategy, const N: usize>(
    guards: Vec<NodeGuard>,
    state: (Vec<FloatTensor<B>>, DynOperation),
    output: FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let guards: [NodeGuard; N] = guards.try_into().expect("as many guards as inputs");
    match <BackwardStep as Backward<B, N>>::prepare::<C>(BackwardStep, guards).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(state, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}
