//! How an operation of this room becomes one of the engine's, with its place in the gradient graph.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{AutodiffBackend, Backend, Flex, backend_extension};
use burn::tensor::Tensor;

/// Values and their shape.
#[derive(Clone, Copy)]
pub(super) struct TensorView<'a> {
    pub values: &'a [f32],
    pub shape: &'a [usize],
}

/// New values and their shape.
pub(super) struct Output {
    pub values: Vec<f32>,
    pub shape: Vec<usize>,
}

/// An operation on some arrays. The first of its outputs has a gradient; the others are constants to all that follows.
pub(super) trait Operation: Debug + Send + Sync + 'static {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output>;

    /// The only output in the place of the last input, which nobody else looks at and is not among the inputs; whether the
    /// operation does that. Memory that was just read is written faster than other.
    fn run_in_place(&self, _inputs: &[TensorView], _last: &mut [f32]) -> bool {
        false
    }

    /// The gradients with respect to the inputs, from that with respect to the first output; as many as inputs are
    /// wanted, in order.
    fn backward(&self, inputs: &[TensorView], gradient: TensorView, wanted: &[bool]) -> Vec<Output>;
}

/// A tensor, or none: the engine's extensions take no lists.
#[derive(burn::backend::ExtensionType, Clone, Debug)]
pub(super) enum Slot<B: Backend> {
    /// A tensor.
    Full(FloatTensor<B>),
    /// None.
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

#[backend_extension(Flex, Autodiff)]
pub(super) trait Engine: Backend {
    fn forward(#[extension_type] inputs: Slots<Self>, operation: DynOperation) -> Vec<FloatTensor<Self>>;
    fn backward(
        #[extension_type] inputs: Slots<Self>,
        gradient: FloatTensor<Self>,
        operation: DynOperation,
        wanted: Vec<bool>,
    ) -> Vec<FloatTensor<Self>>;
}

/// Does the operation on the CPU.
pub(super) fn apply<const D: usize>(
    operation: impl Operation,
    inputs: Vec<burn::backend::DispatchTensor>,
) -> (Tensor<D>, Vec<Tensor<1>>) {
    let mut outputs = <burn::backend::Dispatch as Engine>::forward(Slots::new(inputs), Arc::new(operation)).into_iter();
    let first = Tensor::from_dispatch(outputs.next().expect("an output"));
    (first, outputs.map(Tensor::from_dispatch).collect())
}

mod flex {
    use burn::backend::flex::{FlexTensor, Layout};
    use burn::tensor::{Bytes, DType, Shape};

    use super::{DynOperation, Engine, Flex, FloatTensor, Output, Slots, TensorView};

    fn tensors(slots: Slots<Flex>) -> Vec<(FlexTensor, Vec<usize>)> {
        let shaped = |tensor: FlexTensor| {
            let tensor = if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() };
            let shape = tensor.layout().shape().to_vec();
            (tensor, shape)
        };
        slots.into_vec().into_iter().map(shaped).collect()
    }

    fn array((tensor, shape): &(FlexTensor, Vec<usize>)) -> TensorView<'_> {
        // A part of a longer vector, such as one of all parameters, begins somewhere in it.
        let start = tensor.layout().start_offset();
        let count: usize = shape.iter().product();
        TensorView { values: &tensor.storage::<f32>()[start..start + count], shape }
    }

    fn tensor(Output { values, shape }: Output) -> FlexTensor {
        FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(Shape::from(shape)), DType::F32)
    }

    impl Engine for Flex {
        fn forward(inputs: Slots<Self>, operation: DynOperation) -> Vec<FloatTensor<Self>> {
            let mut inputs = tensors(inputs);
            let (mut last, shape) = inputs.pop().expect("an input");
            let count: usize = shape.iter().product();
            if let Some(values) = last.try_storage_mut::<f32>().filter(|values| values.len() == count) {
                let arrays: Vec<TensorView> = inputs.iter().map(array).collect();
                if operation.run_in_place(&arrays, values) {
                    return vec![last];
                }
            }
            inputs.push((last, shape));
            let arrays: Vec<TensorView> = inputs.iter().map(array).collect();
            operation.forward(&arrays).into_iter().map(tensor).collect()
        }

        fn backward(
            inputs: Slots<Self>,
            gradient: FloatTensor<Self>,
            operation: DynOperation,
            wanted: Vec<bool>,
        ) -> Vec<FloatTensor<Self>> {
            let inputs = tensors(inputs);
            let gradient = tensors(Slots::new(vec![gradient]));
            let arrays: Vec<TensorView> = inputs.iter().map(array).collect();
            operation.backward(&arrays, array(&gradient[0]), &wanted).into_iter().map(tensor).collect()
        }
    }
}

/// The step back through an operation of `N` inputs.
#[derive(Debug)]
struct Back;

impl<B: Engine, const N: usize> Backward<B, N> for Back {
    type State = (Vec<FloatTensor<B>>, DynOperation);

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (inputs, operation) = ops.state;
        let wanted = ops.parents.iter().map(Option::is_some).collect();
        let found = B::backward(Slots::new(inputs), gradient, operation, wanted);
        for (parent, gradient) in ops.parents.into_iter().flatten().zip(found) {
            gradients.register::<B>(parent.id, gradient);
        }
    }
}

impl<B: Engine, C: CheckpointStrategy> Engine for Autodiff<B, C> {
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
        unreachable!("a gradient of a gradient")
    }
}

fn track<B: Engine, C: CheckpointStrategy, const N: usize>(
    guards: Vec<NodeGuard>,
    state: (Vec<FloatTensor<B>>, DynOperation),
    output: FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let guards: [NodeGuard; N] = guards.try_into().expect("as many guards as inputs");
    match <Back as Backward<B, N>>::prepare::<C>(Back, guards).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(state, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}
