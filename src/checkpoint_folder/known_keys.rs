//! What keys of a Transformers configuration say about layers.

/// What a key says about the layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum KeyMeaning {
    /// The number of layers.
    Depth(Side),
    /// The number of layers in some configurations, another number in others.
    MaybeDepth,
    /// The numbers of layers of all stages.
    StageDepths,
    /// An entry for each layer: a list, or a text with a character for each.
    PerLayer,
    /// A list of the numbers of some layers.
    LayerNumbers,
    /// The first so many layers are special.
    FirstLayers,
    /// Layers are special by their number modulo this one, unless one of these keys says which they are.
    Period(&'static [&'static str]),
    /// Changes what layers compute by their number, or by how many there are, in a way that removal cannot keep.
    Fixed,
    /// Says nothing about layers, whatever its name or length.
    Unrelated,
}

/// Which layers of a network with an encoder and a decoder a depth counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Those of the only list of layers, or those of the encoder where another key counts the decoder's.
    Main,
    Encoder,
    Decoder,
}

use KeyMeaning::{Depth, FirstLayers, Fixed, LayerNumbers, MaybeDepth, PerLayer, Period, StageDepths, Unrelated};

const ATTENTION: &[&str] = &["layer_types", "attention_layers"];
const EXPERTS: &[&str] = &["mlp_layer_types", "moe_layers"];

const KEYS: &[(&str, KeyMeaning)] = &[
    ("num_hidden_layers", Depth(Side::Main)),
    ("num_layers", Depth(Side::Main)),
    ("n_layer", Depth(Side::Main)),
    ("n_layers", Depth(Side::Main)),
    ("num_transformer_layers", MaybeDepth),
    ("num_blocks", MaybeDepth),
    ("depth", MaybeDepth),
    ("encoder_layers", Depth(Side::Encoder)),
    ("num_encoder_layers", Depth(Side::Encoder)),
    ("encoder_num_hidden_layers", Depth(Side::Encoder)),
    ("decoder_layers", Depth(Side::Decoder)),
    ("num_decoder_layers", Depth(Side::Decoder)),
    ("decoder_num_hidden_layers", Depth(Side::Decoder)),
    ("layer_types", PerLayer),
    ("mlp_layer_types", PerLayer),
    ("indexer_types", PerLayer),
    ("layers_block_type", PerLayer),
    ("attention_layers", PerLayer),
    ("attn_layers", PerLayer),
    ("no_rope_layers", PerLayer),
    ("layer_rope_theta", PerLayer),
    ("hybrid_override_pattern", PerLayer),
    ("activation_sparsity_pattern", PerLayer),
    ("num_attention_heads_per_layer", PerLayer),
    ("num_key_value_heads_per_layer", PerLayer),
    ("num_query_heads", PerLayer),
    ("num_kv_heads", PerLayer),
    ("num_key_value_heads", PerLayer),
    ("ffn_multipliers", PerLayer),
    ("intermediate_size", PerLayer),
    ("block_configs", PerLayer),
    ("mlp_only_layers", LayerNumbers),
    ("moe_layers", LayerNumbers),
    ("cross_attention_layers", LayerNumbers),
    ("attn_layer_indices", LayerNumbers),
    ("full_attn_idxs", LayerNumbers),
    ("local_layer_ids", LayerNumbers),
    ("hybrid_layer_ids", LayerNumbers),
    ("global_attn_indexes", LayerNumbers),
    ("fullatt_block_indexes", LayerNumbers),
    ("first_k_dense_replace", FirstLayers),
    ("max_window_layers", FirstLayers),
    ("num_dense_layers", FirstLayers),
    ("num_first_full_attention_layers", FirstLayers),
    ("sliding_window_pattern", Period(ATTENTION)),
    ("global_attn_every_n_layers", Period(ATTENTION)),
    ("full_attention_interval", Period(ATTENTION)),
    ("layer_group_size", Period(ATTENTION)),
    ("attn_layer_period", Period(ATTENTION)),
    ("no_rope_layer_interval", Period(&["no_rope_layers"])),
    ("interleave_moe_layer_step", Period(EXPERTS)),
    ("moe_layer_interval", Period(EXPERTS)),
    ("moe_layer_freq", Period(EXPERTS)),
    ("expert_layer_period", Period(EXPERTS)),
    ("decoder_sparse_step", Period(EXPERTS)),
    ("encoder_sparse_step", Period(EXPERTS)),
    ("cross_attention_frequency", Period(&[])),
    ("cross_layer_interval", Period(&[])),
    ("n_layers_per_attn_res_block", Period(&[])),
    // Offsets within a period, which keeps or loses its meaning as a whole.
    ("attn_layer_offset", Unrelated),
    ("expert_layer_offset", Unrelated),
    ("num_nextn_predict_layers", Fixed),
    ("num_mtp_layers", Fixed),
    ("num_kv_shared_layers", Fixed),
    ("hidden_size_per_layer_input", Fixed),
    ("scale_attn_by_inverse_layer_idx", Fixed),
    ("scale_depth", Fixed),
    ("use_weighted_layer_sum", Fixed),
    ("pruned_heads", Fixed),
    ("attention_types", Fixed),
    ("moe_layers_enum", Fixed),
    ("moe_layer_start_index", Fixed),
    ("moe_layer_end_index", Fixed),
    ("depths", StageDepths),
    ("architectures", Unrelated),
    ("vocab_size_per_layer_input", Unrelated),
    ("conv_dim", Unrelated),
    ("conv_kernel", Unrelated),
    ("conv_stride", Unrelated),
    ("num_adapter_layers", Unrelated),
    ("num_feat_extract_layers", Unrelated),
    ("tdnn_dim", Unrelated),
    ("tdnn_kernel", Unrelated),
    ("tdnn_dilation", Unrelated),
    ("image_mean", Unrelated),
    ("image_std", Unrelated),
    ("image_size", Unrelated),
    ("patch_size", Unrelated),
    ("mrope_section", Unrelated),
];

/// Keys of objects with lists about something else: frequencies, classes, names of modules.
pub(super) const OTHER_OBJECTS: &[&str] = &[
    "rope_scaling",
    "rope_parameters",
    "quantization_config",
    "compression_config",
    "id2label",
    "label2id",
    "task_specific_params",
    "auto_map",
];

/// Networks whose code has a period where the configuration has neither the key nor one of the lists.
pub(super) const IMPLIED_PERIODS: &[(&str, &str, usize)] = &[
    ("cohere2", "sliding_window_pattern", 4),
    ("exaone4", "sliding_window_pattern", 4),
    ("gemma2", "sliding_window_pattern", 2),
    ("gemma3", "sliding_window_pattern", 6),
    ("gemma3_text", "sliding_window_pattern", 6),
    ("gemma3n_text", "sliding_window_pattern", 5),
    ("gpt_oss", "sliding_window_pattern", 2),
    ("llama4_text", "no_rope_layer_interval", 4),
    ("minimax", "sliding_window_pattern", 2),
    ("modernbert", "global_attn_every_n_layers", 3),
    ("olmo3", "sliding_window_pattern", 4),
    ("qwen3_next", "full_attention_interval", 4),
    ("smollm3", "no_rope_layer_interval", 4),
    ("t5gemma", "sliding_window_pattern", 2),
    ("vaultgemma", "sliding_window_pattern", 2),
];

/// Networks whose layers compute something that depends on their number, whatever the configuration says.
pub(super) const BY_LAYER_NUMBER: &[(&str, &str)] = &[
    ("diffllama", "weights the two halves of its attention by the number of the layer"),
    ("esmc", "scales its residual branches by the number of layers"),
];

/// Returns what a key says about layers; `None` for a key that is not known here.
pub(super) fn known_meaning(key: &str) -> Option<KeyMeaning> {
    // Some configurations store what they computed under the name of the key with an underscore before it.
    let key = key.trim_start_matches('_');
    let is_token = ["_token_id", "_token_ids", "_tokens"].iter().any(|end| key.ends_with(end));
    let known = KEYS.iter().find(|(name, _)| *name == key).map(|(_, meaning)| *meaning);
    known.or(is_token.then_some(Unrelated))
}
